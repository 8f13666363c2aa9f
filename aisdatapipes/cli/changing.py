"""Changing: objects that are removed, buckets that come and go."""

from __future__ import annotations

import argparse
from typing import Any

from aisdatapipes.cli.output import add_endpoint

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add ``rm``, ``mb`` and ``rb``."""
    rm = commands.add_parser("rm", help="remove objects")
    rm.add_argument("urls", nargs="+", metavar="URL", help="object, folder or pattern")
    rm.add_argument("-r", action="store_true", dest="recursive", help="all that is in folders")
    rm.set_defaults(run=_run_rm)

    mb = commands.add_parser("mb", help="make buckets")
    mb.set_defaults(run=_run_mb)
    rb = commands.add_parser("rb", help="remove buckets that are empty")
    rb.add_argument("--force", action="store_true", help="also those with objects")
    rb.set_defaults(run=_run_rb)
    for command in (mb, rb):
        command.add_argument("urls", nargs="+", metavar="URL", help="ais://bucket")
    for command in (rm, mb, rb):
        add_endpoint(command)


def _run_rm(options: argparse.Namespace) -> None:
    from aisdatapipes.cli.places import remote_sources
    from aisdatapipes.errors import InvalidURLError, IsFolderError, NoObjectsError

    places = list(remote_sources(options.urls, options.endpoint))
    for place in places:
        if not place.path:
            raise InvalidURLError(f"{place.url} is all buckets: name one")
        if place.kind == "directory" and not options.recursive:
            raise IsFolderError(f"{place.url} is a folder: rm -r removes all that is in it")
    for place in places:
        # Not the filesystem's own way with buckets, which removes the bucket too.
        objects = place.fs.find(place.path)
        if not objects:
            raise NoObjectsError(f"no objects in {place.url}; rb removes the bucket")
        place.fs.rm(objects, recursive=True)


def _run_mb(options: argparse.Namespace) -> None:
    for place in _buckets(options):
        place.fs.mkdir(place.path)


def _run_rb(options: argparse.Namespace) -> None:
    from aisdatapipes.errors import NotEmptyError

    for place in _buckets(options):
        if options.force:
            place.fs.rm(place.path, recursive=True)
        elif place.fs.folder_at(place.path).is_there():
            raise NotEmptyError(f"there are objects in {place}: rb --force removes them too")
        else:
            place.fs.rmdir(place.path)


def _buckets(options: argparse.Namespace) -> list[Any]:
    """Return the buckets that are meant, and nothing else: one that is none is never touched."""
    from aisdatapipes.cli.places import remote_place
    from aisdatapipes.errors import InvalidURLError

    places = [remote_place(url, options.endpoint) for url in options.urls]
    for place in places:
        if not place.path or place.fs.url_for(place.path).name:
            raise InvalidURLError(f"{place.url} is no bucket: write it like ais://bucket")
    return places
