"""Packing: files into tar shards, of which each sample is in one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisdatapipes.cli.output import (
    add_endpoint,
    add_json,
    amount,
    count,
    human,
    number,
    say,
    say_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aisdatapipes.packing.packing import Packing
    from aisdatapipes.packing.plan import PackPlan
    from aisdatapipes.packing.shard_names import ShardNames
    from aisdatapipes.packing.sources import FileSource

__all__ = ["add_to"]

_MOST_NAMED = 5

_PACK = (
    "Files whose names are equal up to the first dot of their last part are a sample, as WebDataset"
    " reads them: they lie side by side, in one shard. A file keeps its folder in its name. What is"
    " there with the same size and checksum stays as it is, so that a run that was broken off goes"
    " on where it was; to compare, the files are read."
)
_FILES = (
    "FILE is on this machine, for Manifest.load and ShardIndex.load; AISShardReader takes the "
    "results as manifest= and index=, AISShardMapDataset the index."
)


def add_to(commands: Any) -> None:
    """Add ``pack``."""
    pack = commands.add_parser(
        "pack", help="make tar shards of files", description=_PACK, epilog=_FILES
    )
    pack.add_argument("source", metavar="SOURCE", help="folder, or ais://bucket/folder")
    pack.add_argument("target", metavar="TARGET", help="ais://bucket/train-%%06d.tar")
    pack.add_argument(
        "--max-size",
        metavar="SIZE",
        type=amount,
        default=256_000_000,
        help="bytes of a shard, as 1GB or 512MiB (default: 256MB)",
    )
    pack.add_argument("--max-count", metavar="N", type=count, help="samples of a shard")
    pack.add_argument("--shuffle", action="store_true", help="samples in random order")
    pack.add_argument("--seed", type=int, default=0, help="of that order (default: 0)")
    pack.add_argument("--workers", type=count, default=4, help="shards at a time (default: 4)")
    pack.add_argument("--force", action="store_true", help="replace shards of other content")
    pack.add_argument("--manifest", metavar="FILE", help="write a list of all shards")
    pack.add_argument("--index", metavar="FILE", help="write an index of all samples")
    pack.add_argument("--create", action="store_true", help="make the bucket if there is none")
    add_json(pack, "how many shards, samples, files and bytes")
    pack.set_defaults(run=_run_pack)
    add_endpoint(pack)


def _run_pack(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.copies import create_bucket
    from aisdatapipes.cli.places import remote_place
    from aisdatapipes.errors import NoObjectsError
    from aisdatapipes.packing.packing import Packing
    from aisdatapipes.packing.plan import Limits, plan_shards
    from aisdatapipes.packing.shard_names import ShardNames

    target = remote_place(options.target, options.endpoint)
    names = ShardNames.parse(target.path)
    source = _source(options, names)
    limits = Limits(options.max_size, options.max_count)
    plan = plan_shards(source.files(), limits, options.seed if options.shuffle else None)
    _warn_of(plan.left_out)
    if not plan.shards:
        raise NoObjectsError(f"no files in {options.source} that make samples, as cat/1.jpg does")
    packing = Packing(source, plan.shards, target.fs, names, options.workers)
    if options.create:
        create_bucket(options.target, options.endpoint)
    missing = packing.missing(force=options.force)
    _write(packing, plan, missing)
    _save_files(options, packing, plan)
    _summarize(options, plan, missing)


def _source(options: argparse.Namespace, names: ShardNames) -> FileSource:
    from aisdatapipes.cli.places import is_url, remote_place
    from aisdatapipes.errors import InvalidURLError, NotAFolderError
    from aisdatapipes.packing.sources import BucketSource, FolderSource

    if not is_url(options.source):
        folder = Path(options.source)
        if not folder.exists():
            raise FileNotFoundError(f"no folder {options.source!r} on this machine")
        if not folder.is_dir():
            raise NotAFolderError(f"{folder} is a file: pack takes the folder that it is in")
        return FolderSource(folder)
    place = remote_place(options.source, options.endpoint)
    if place.kind == "file":
        raise NotAFolderError(f"{place} is an object: pack takes the folder that it is in")
    if not place.path:
        raise InvalidURLError(f"{place.url} is all buckets: name one")
    if names.prefix.startswith(f"{place.path}/") and _is_same_bucket(options):
        raise InvalidURLError(
            f"the shards would be among the files that they are made of, in {place}: pack to "
            "another bucket or folder"
        )
    return BucketSource(place.fs, place.path)


def _is_same_bucket(options: argparse.Namespace) -> bool:
    from aisdatapipes.urls import parse_url

    return parse_url(options.source).provider == parse_url(options.target).provider


def _warn_of(left_out: Sequence[str]) -> None:
    if left_out:
        more = ", ..." if len(left_out) > _MOST_NAMED else ""
        line = (
            f"aisdatapipes pack: left out {number(len(left_out), 'file')} without a key or an "
            "extension, which no reader of shards takes: "
            f"{', '.join(left_out[:_MOST_NAMED])}{more}\n"
        )
        sys.stderr.write(line.encode("utf-8", "backslashreplace").decode())


def _write(packing: Packing, plan: PackPlan, missing: Sequence[int]) -> None:
    from aisdatapipes.cli.progress import Progress

    with Progress(sum(plan.shards[number].size for number in missing)) as progress:
        progress.set_size(len(missing))
        packing.write(missing, progress.add, progress.relative_update)


def _save_files(options: argparse.Namespace, packing: Packing, plan: PackPlan) -> None:
    if not (options.manifest or options.index):
        return  # their rooms take seconds to import
    from aisdatapipes.packing.shard_list import manifest_of

    manifest = manifest_of(packing.requests, [shard.size for shard in plan.shards])
    if options.manifest:
        manifest.save(options.manifest)
    if options.index:
        from aisdatapipes.indexes.shard_index import ShardIndex

        ShardIndex.build(manifest=manifest).save(options.index)


def _summarize(options: argparse.Namespace, plan: PackPlan, missing: Sequence[int]) -> None:
    written = [plan.shards[number] for number in missing]
    size, same = sum(shard.size for shard in written), len(plan.shards) - len(written)
    if options.json:
        say_json(
            {
                "shards": len(plan.shards),
                "samples": sum(shard.samples for shard in plan.shards),
                "files": sum(len(shard.files) for shard in plan.shards),
                "bytes": sum(shard.size for shard in plan.shards),
                "written": len(written),
                "left_out": len(plan.left_out),
            }
        )
        return
    rest = f"; {same:,} were there already" if same else ""
    files = number(sum(len(shard.files) for shard in written), "file")
    samples = number(sum(shard.samples for shard in written), "sample")
    shards = number(len(written), "shard")
    say(f"packed {files}, {samples}, in {shards} ({human(size)}) to {options.target}{rest}")
