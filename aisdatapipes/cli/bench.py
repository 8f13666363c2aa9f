"""Bench: how fast a cluster feeds a loader here."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aisdatapipes.cli.output import add_endpoint, add_json, human, say, say_json

if TYPE_CHECKING:
    from aisdatapipes.throughput import Found, Row

__all__ = ["add_to"]

_ABOUT = (
    "Measures what torch's DataLoader delivers here from what is under a prefix: whole files, and "
    "whole samples of tar shards, shuffled and not decoded, for each number of workers. The clock "
    "starts when every worker has delivered a batch; what was read before may be in the memory of "
    "the cluster. Nothing is written."
)


def add_to(commands: Any) -> None:
    """Add ``bench``."""
    bench = commands.add_parser(
        "bench", help="measure how fast a cluster feeds a DataLoader here", description=_ABOUT
    )
    bench.add_argument("url", metavar="URL", help="ais://bucket/prefix, or a pattern")
    bench.add_argument(
        "--workers",
        type=_numbers,
        default=[0, 1, 2, 4, 8],
        metavar="N,N,…",
        help="numbers of workers, a row for each (default: 0,1,2,4,8)",
    )
    bench.add_argument(
        "--seconds", type=_seconds, default=5.0, help="for each row, about (default: 5)"
    )
    add_json(bench, "what was found, a row on each line, and the advice")
    add_endpoint(bench)
    bench.set_defaults(run=_run)


def _numbers(text: str) -> list[int]:
    numbers = text.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers, like 0,2,4")
    return sorted({int(number) for number in numbers})


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _run(options: argparse.Namespace) -> None:
    from aisdatapipes.throughput import Machine, advise, file_loader, find, measure, sample_loader

    found = find(options.url, options.endpoint, options.seconds)
    show = _Json() if options.json else _Table()
    show.found(found, options)
    rows = []
    kinds = (("files", found.files, file_loader), ("samples", found.shards, sample_loader))
    for what, names, loader in kinds:
        for workers in options.workers if names else ():
            if workers > len(names):  # some of them would have nothing to read
                show.skipped(what, workers, len(names))
                continue
            rows.append(measure(what, loader(found, workers), options.seconds))
            show.row(rows[-1])
    for topic, text in advise(found, rows, Machine.here()):
        show.advice(topic, text)


class _Table:
    """For people."""

    def found(self, found: Found, options: argparse.Namespace) -> None:
        files, shards = (sum(size for _, size in names) for names in (found.files, found.shards))
        end = "" if found.is_all else ", and there are more"
        say(f"{options.url} at {found.endpoint}: {found.names:,} objects{end}")
        say(f"{len(found.files):>9,} files ({human(files)}), read whole, in a random order")
        say(f"{len(found.shards):>9,} tar shards ({human(shards)}), in a random order")
        if found.big:
            say(f"{found.big:>9,} files of more than 64 MiB, which are not read")
        say(f"\n{'':8}{'workers':>8}{'per second':>12}{'MiB/s':>10}{'cores':>7}{'first':>9}  read")
        rate = found.names / max(found.seconds, 1e-6)
        say(f"{'names':8}{'':>8}{rate:12,.0f}{'':26}  {found.names:,} in {found.seconds:.2f} s")

    def row(self, row: Row) -> None:
        cores = "" if row.cores is None else f"{row.cores:.1f}"
        again = f", after {row.epochs:,} whole epochs" if row.epochs else ""
        say(
            f"{row.what:8}{row.workers:8}{row.per_second:12,.0f}{row.mib_per_second:10,.1f}"
            f"{cores:>7}{row.first_s:7.2f} s  {row.items:,} ({human(row.bytes)}) in "
            f"{row.seconds:.2f} s{again}",
            at_once=True,
        )

    def skipped(self, what: str, workers: int, there: int) -> None:
        objects = "files" if what == "files" else "shards"
        say(f"{what:8}{workers:8}  not measured, because there are {objects} for {there:,} workers")

    def advice(self, topic: str, text: str) -> None:
        say(f"{chr(10) if topic == 'listing' else ''}{topic:8}  {text}")


class _Json:
    """For programs."""

    def found(self, found: Found, options: argparse.Namespace) -> None:
        say_json(
            {
                "url": options.url,
                "endpoint": found.endpoint,
                "names": found.names,
                "files": len(found.files),
                "file_bytes": sum(size for _, size in found.files),
                "shards": len(found.shards),
                "shard_bytes": sum(size for _, size in found.shards),
                "too_big": found.big,
                "is_all": found.is_all,
                "seconds": found.seconds,
            }
        )

    def row(self, row: Row) -> None:
        say_json(
            {**asdict(row), "per_second": row.per_second, "mib_per_second": row.mib_per_second}
        )

    def skipped(self, what: str, workers: int, there: int) -> None:
        say_json({"what": what, "workers": workers, "too_few": there})

    def advice(self, topic: str, text: str) -> None:
        say_json({"topic": topic, "advice": text})
