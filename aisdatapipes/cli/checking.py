"""Checking: what is in a shard, and whether all is well between here and a cluster."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from aisdatapipes.cli.output import add_endpoint, add_json, human, say, say_json

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add ``inspect`` and ``doctor``."""
    inspect = commands.add_parser("inspect", help="tell what is in a tar shard, and what is wrong")
    inspect.add_argument("shard", metavar="SHARD", help="ais://bucket/name.tar, or a local file")
    add_json(inspect, "members, samples, sizes, problems")
    inspect.set_defaults(run=_run_inspect)

    doctor = commands.add_parser("doctor", help="check the way from here to a cluster")
    add_json(doctor, "a check on each line")
    doctor.set_defaults(run=_run_doctor)
    for command in (inspect, doctor):
        add_endpoint(command)


def _run_inspect(options: argparse.Namespace) -> int:
    from aisdatapipes.cli.places import is_url, remote_place
    from aisdatapipes.cli.shard_report import report_on

    if is_url(options.shard):
        place = remote_place(options.shard, options.endpoint)
        with place.fs.open(place.path, "rb") as file:
            report = report_on(file, place.url)
    else:
        with open(options.shard, "rb") as file:  # noqa: PTH123 - as a user writes it
            report = report_on(file, options.shard)
    if options.json:
        say_json(asdict(report))
    else:
        files = f"{report.files:,} files ({human(report.bytes)})"
        say(f"{options.shard}: {report.members:,} members, {files}, {report.samples:,} samples")
        for extension, count in report.extensions.items():
            say(f"{count:>9,}  {extension or 'no extension'}")
        for problem in report.problems:
            say(f"problem: {problem}")
    return bool(report.problems)


def _run_doctor(options: argparse.Namespace) -> int:
    from aisdatapipes.cli.diagnosis import diagnose

    are_good = []
    for finding in diagnose(options.endpoint):
        are_good.append(finding.is_good)
        if options.json:
            say_json(asdict(finding))
        else:
            mark = {True: "ok", False: "!!", None: "--"}[finding.is_good]
            say(f"{mark}  {finding.topic:<11}  {finding.text}", at_once=True)
    return False in are_good
