"""Shards: their files come back out of them, and their samples are found."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisdatapipes.cli.output import add_endpoint, add_json, count, human, number, say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aisdatapipes.cli.places import Place
    from aisdatapipes.cli.progress import Progress
    from aisdatapipes.packing.unpacking import FileTarget, Unpacked
    from aisdatapipes.reading.request import ObjectRequest

__all__ = ["add_to"]

_UNPACK = (
    "Files get the names that they have in the shards. What is there with the same content stays "
    "as it is. Names that lead out of TARGET, and links, are refused. Patterns as in get."
)
_INDEX = (
    "FILE is on this machine, for ShardIndex.load; AISShardReader and AISShardMapDataset take the "
    "result as index=. It is written if all shards are sound."
)


def add_to(commands: Any) -> None:
    """Add ``unpack`` and ``index``."""
    unpack = commands.add_parser("unpack", help="get the files of tar shards", description=_UNPACK)
    unpack.add_argument("sources", nargs="+", metavar="SHARD", help="ais://bucket/name.tar")
    unpack.add_argument("target", metavar="TARGET", help="folder, or ais://bucket/folder")
    unpack.add_argument("-j", "--jobs", type=count, default=8, help="at a time (default: 8)")
    unpack.add_argument("--create", action="store_true", help="make the bucket of TARGET")
    add_json(unpack, "how many files and bytes")
    unpack.set_defaults(run=_run_unpack)

    index = commands.add_parser("index", help="find the samples of tar shards", description=_INDEX)
    index.add_argument("url", metavar="URL", help="ais://bucket/prefix, or a pattern")
    index.add_argument("-o", "--output", metavar="FILE", help="write the index")
    add_json(index, "samples, bytes, how they were found, problems")
    index.set_defaults(run=_run_index)
    for command in (unpack, index):
        add_endpoint(command)


def _run_unpack(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.copies import create_bucket
    from aisdatapipes.cli.places import is_url
    from aisdatapipes.cli.progress import Progress
    from aisdatapipes.packing.unpacking import unpack_shards

    shards = _shards(options)
    if options.create and is_url(options.target):
        create_bucket(options.target, options.endpoint)
    target = _target(options)
    sizes = [shard.fs.info(shard.path)["size"] for shard in shards]
    with Progress(sum(sizes)) as progress:
        progress.set_size(len(shards))
        requests = _requests(shards, progress)
        done = unpack_shards(requests, target, options.jobs, progress.add)
    _tell(options, done)


def _requests(shards: Sequence[Place], progress: Progress) -> Iterator[ObjectRequest]:
    for shard in shards:
        yield shard.fs.request_for(shard.path)
        progress.relative_update(1)


def _shards(options: argparse.Namespace) -> list[Place]:
    """Return the shards that are meant, each that braces name; a folder is none."""
    from aisdatapipes.cli.places import remote_sources
    from aisdatapipes.errors import IsFolderError
    from aisdatapipes.listing.patterns import expand_braces

    members = [one for url in options.sources for one in expand_braces(url)]
    shards = list(remote_sources(members, options.endpoint))
    for shard in shards:
        if shard.kind == "directory":
            raise IsFolderError(f"{shard} is no shard: name those in it, as {shard.url}/*.tar")
    return shards


def _target(options: argparse.Namespace) -> FileTarget:
    from aisdatapipes.cli.places import is_url, remote_place
    from aisdatapipes.packing.unpacking import BucketTarget, FolderTarget

    if is_url(options.target):
        place = remote_place(options.target, options.endpoint)
        return BucketTarget(place.fs, place.path)
    return FolderTarget(Path(options.target))


def _tell(options: argparse.Namespace, done: Unpacked) -> None:
    if options.json:
        say_json({"written": done.files, "bytes": done.bytes, "unchanged": done.unchanged})
        return
    rest = f"; {done.unchanged:,} were there already" if done.unchanged else ""
    say(f"unpacked {number(done.files, 'file')} ({human(done.bytes)}) to {options.target}{rest}")


def _run_index(options: argparse.Namespace) -> int:
    from aisdatapipes.cli.index_report import index_shards

    report, index = index_shards(options.url, options.endpoint)
    is_written = options.output and not report.problems
    if is_written:
        index.save(options.output)
    if options.json:
        say_json(asdict(report))
        return bool(report.problems)
    each = human(round(report.bytes / report.samples)) if report.samples else "0 B"
    shards, known, scanned = report.shards, report.by_cluster, report.by_scan
    say(f"{options.url}: {report.samples:,} samples in {number(shards, 'shard')}, {each} each")
    say(f"found in {known:,} by the cluster's own index, in {scanned:,} by a scan")
    for problem in report.problems:
        say(f"problem: {problem}")
    if options.output:
        say(f"wrote {options.output}" if is_written else f"wrote no {options.output}")
    return bool(report.problems)
