"""Copying: files to buckets, from buckets, and between them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from aisdatapipes.cli.output import add_endpoint, add_json, count, human, say, say_json

__all__ = ["add_to"]

_RULE = (
    "What is in a single folder goes right to TARGET; of several sources each keeps its name there."
    " What is there with the same size and checksum stays as it is, so that a copy which was broken"
    " off goes on where it was. Patterns: * ? [a-f] ** {a,b} {00..99}."
)


def add_to(commands: Any) -> None:
    """Add ``put``, ``get`` and ``cp``."""
    put = commands.add_parser("put", help="copy files and folders to a bucket", description=_RULE)
    put.add_argument("sources", nargs="+", metavar="SOURCE", help="file, folder or pattern")
    put.add_argument("target", metavar="TARGET", help="ais://bucket/prefix")
    put.add_argument("--create", action="store_true", help="make the bucket if there is none")

    get = commands.add_parser("get", help="copy objects and folders here", description=_RULE)
    get.add_argument("sources", nargs="+", metavar="SOURCE", help="object, folder or pattern")
    get.add_argument("target", metavar="TARGET", help="file or folder")

    cp = commands.add_parser("cp", help="copy to, from or between buckets", description=_RULE)
    cp.add_argument("sources", nargs="+", metavar="SOURCE", help="files, or URLs of objects")
    cp.add_argument("target", metavar="TARGET", help="file, folder or URL; not both on this side")
    cp.add_argument("-r", action="store_true", dest="recursive", help="all that is in folders")
    for command in (put, get, cp):
        command.add_argument("--force", action="store_true", help="also what is there already")
        command.add_argument("--dry-run", action="store_true", help="say what would be copied")
        command.add_argument("-j", "--jobs", type=count, default=8, help="at a time (default: 8)")
        command.set_defaults(run=_run)
        add_json(command, "how many files and bytes")
        add_endpoint(command)


def _run(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.copies import copy_all, create_bucket, plan_copies, without_same

    _check_sides(options)
    is_recursive = getattr(options, "recursive", True)
    copies = plan_copies(options.sources, options.target, options.endpoint, recursive=is_recursive)
    is_new = getattr(options, "create", False) and create_bucket(
        options.target, options.endpoint, is_dry=options.dry_run
    )
    left = copies if options.force or is_new else without_same(copies, options.jobs)
    if options.dry_run:
        for copy in left:
            say(f"{copy.source} -> {copy.target}")
        return
    copy_all(left, options.jobs)
    _summarize(options, copies, left)


def _check_sides(options: argparse.Namespace) -> None:
    """Refuse what another command is for, as a wrong call."""
    from_urls, to_url = {"://" in one for one in options.sources}, "://" in options.target
    wrong = {
        "put": from_urls != {False} or not to_url,
        "get": from_urls != {True} or to_url,
        "cp": len(from_urls) > 1 or not (to_url or True in from_urls),
    }
    if wrong[options.command]:
        sys.stderr.write(
            f"aisdatapipes {options.command}: put is from files to ais://…, get from ais://… to "
            "files, cp both, or between buckets; all sources on one side\n"
        )
        raise SystemExit(2)


def _summarize(options: argparse.Namespace, copies: list[Any], left: list[Any]) -> None:
    size, same = sum(copy.size for copy in left), len(copies) - len(left)
    if options.json:
        say_json({"copied": len(left), "bytes": size, "unchanged": same})
        return
    rest = f"; {same:,} were there already" if same else ""
    files = "file" if len(left) == 1 else "files"
    say(f"copied {len(left):,} {files} ({human(size)}) to {options.target}{rest}")
