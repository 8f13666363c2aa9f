"""Looking: what there is, how much, and what is in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from aisdatapipes.cli.output import add_endpoint, add_json, human, say, say_json

if TYPE_CHECKING:
    from aisdatapipes.cli.places import Place

__all__ = ["add_to"]

_Entry = dict[str, Any]

_AT_A_TIME = 256


def add_to(commands: Any) -> None:
    """Add ``ls``, ``cat`` and ``du``."""
    ls = commands.add_parser("ls", help="list buckets, folders and objects", add_help=False)
    ls.add_argument("urls", nargs="*", metavar="URL", default=["ais://"], help="default: ais://")
    ls.add_argument("-l", action="store_true", dest="is_long", help="size and time, of each object")
    ls.add_argument("-r", action="store_true", dest="recursive", help="all that is in folders")
    ls.set_defaults(run=_run_ls)

    du = commands.add_parser("du", help="add up objects and their bytes", add_help=False)
    du.add_argument("urls", nargs="+", metavar="URL", help="bucket, folder, object or pattern")
    du.set_defaults(run=_run_du)
    for command in (ls, du):
        command.add_argument("-h", action="store_true", dest="human", help="sizes as 1.2 MB")
        command.add_argument("--help", action="help", help="show this text")
        add_json(command, "an object on each line")

    cat = commands.add_parser("cat", help="write objects to standard output")
    cat.add_argument("urls", nargs="+", metavar="URL", help="object or pattern")
    cat.set_defaults(run=_run_cat)
    for command in (ls, du, cat):
        add_endpoint(command)


def _run_ls(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.places import remote_sources

    for place in remote_sources(options.urls, options.endpoint):
        entries = _entries_in(place, recursive=options.recursive)
        for entry in _with_times(place, entries) if options.is_long else entries:
            if options.json:
                say_json(entry)
            else:
                say(_line(entry, options) if options.is_long else entry["url"])


def _entries_in(place: Place, *, recursive: bool) -> Iterator[_Entry]:
    if recursive and place.path and place.kind == "directory":
        bucket, _, _ = place.path.partition("/")
        sizes = place.fs.folder_at(place.path).objects()
        yield from (_entry(place, f"{bucket}/{name}", size, "file") for name, size in sizes)
        return
    for info in place.fs.ls(place.path):
        if recursive and not place.path:
            yield from _entries_in(place.at(info["name"]), recursive=True)
        else:
            kind = "bucket" if not place.path else info["type"].replace("directory", "folder")
            yield _entry(place, info["name"], info["size"], kind)


def _entry(place: Place, path: str, size: int, kind: str) -> _Entry:
    end = "" if kind == "file" else "/"
    return {"url": f"{place.scheme}://{path}{end}", "size": size, "type": kind}


def _with_times(place: Place, entries: Iterator[_Entry]) -> Iterator[_Entry]:
    """Add what only a request for each object tells."""
    from aisdatapipes.filesystem.transfers import at_a_time

    def completed(entry: _Entry) -> _Entry:
        if entry["type"] != "file":
            return entry
        info = place.fs.info(entry["url"].partition("://")[2])
        return {**entry, "mtime": info["mtime"], "checksum": info["checksum"]}

    while some := list(islice(entries, _AT_A_TIME)):
        yield from at_a_time(completed, some, place.fs.concurrency)


def _line(entry: _Entry, options: argparse.Namespace) -> str:
    size, time = "-", ""
    if entry["type"] == "file":
        size = human(entry["size"]) if options.human else str(entry["size"])
        time = f"{datetime.fromtimestamp(entry['mtime']):%F %T}" if entry["mtime"] else ""
    return f"{size:>12}  {time:19}  {entry['url']}"


def _run_du(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.places import remote_sources

    for place in remote_sources(options.urls, options.endpoint):
        sizes = [entry["size"] for entry in _entries_in(place, recursive=True)]
        if options.json:
            say_json({"url": place.url, "objects": len(sizes), "size": sum(sizes)})
        else:
            size = human(sum(sizes)) if options.human else str(sum(sizes))
            say(f"{size:>12}  {len(sizes):>9}  {place.url}")


def _run_cat(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.places import remote_sources

    for place in remote_sources(options.urls, options.endpoint):
        place.fs.get_file(place.path, outfile=sys.stdout.buffer)
