"""Places: what arguments mean, in buckets or on this machine."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import has_magic
from pathlib import Path

from aisdatapipes.errors import InvalidURLError, NoObjectsError
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.listing.patterns import expand_braces
from aisdatapipes.urls import parse_url

__all__ = ["Place", "is_url", "local_sources", "remote_place", "remote_sources"]


@dataclass(frozen=True)
class Place:
    """A bucket, folder or object, or where one is to be.

    Attributes:
        fs: The filesystem of its provider.
        scheme: Provider as the argument spells it.
        path: Without the scheme, and without a slash at its end.
        is_folder: Whether the argument has a slash at its end, or is a bucket.
    """

    fs: AISFileSystem
    scheme: str
    path: str
    is_folder: bool

    @property
    def url(self) -> str:
        """What people call it."""
        return f"{self.scheme}://{self.path}"

    def __str__(self) -> str:
        return self.url

    @cached_property
    def kind(self) -> str:
        """``file`` or ``directory``; raises where there is nothing."""
        return self.fs.info(self.path)["type"]

    def at(self, path: str) -> Place:
        """Return another place in the same buckets."""
        return Place(self.fs, self.scheme, path, is_folder=False)


def is_url(argument: str) -> bool:
    """Whether an argument means a bucket or what is in one."""
    return "://" in argument


def remote_place(url: str, endpoint: str | None) -> Place:
    """Return what a URL means, as it is; sends no request.

    Raises:
        InvalidURLError: It is none of a bucket, or of the buckets of a provider, as ``ais://``.
    """
    scheme, _, path = url.partition("://")
    if not is_url(url) or (path and parse_url(url).endpoint):
        raise InvalidURLError(f"{url!r} is no URL of a bucket: write it like ais://bucket/name")
    fs = AISFileSystem(endpoint, provider=scheme)
    bare = fs.plain(path)
    return Place(fs, scheme, bare, is_folder=path.endswith("/") or "/" not in bare)


def remote_sources(urls: Sequence[str], endpoint: str | None) -> Iterator[Place]:
    """Yield what URLs and patterns mean: what has that very name, or else what matches.

    Raises:
        NoObjectsError: A pattern matches nothing.
    """
    for url in urls:
        place = remote_place(url, endpoint)
        members = _members(url.partition("://")[2])
        is_name = members == [place.path] and not has_magic(place.path)
        if is_name or (place.fs.is_possible(place.path) and place.fs.exists(place.path)):
            yield place
        else:
            found = [one for member in members for one in _matching(place, member)]
            if not found:
                raise NoObjectsError(f"nothing matches {url}: list its bucket for the names it has")
            yield from map(place.at, dict.fromkeys(found))


def local_sources(arguments: Sequence[str]) -> Iterator[Path]:
    """Yield what arguments and patterns mean on this machine, likewise.

    Raises:
        FileNotFoundError: There is no such file.
    """
    for argument in arguments:
        if os.path.lexists(argument):
            yield Path(argument)
            continue
        found = [one for each in _members(argument) for one in sorted(glob.glob(each))]  # noqa: PTH207 - patterns may be absolute
        if not found:
            raise FileNotFoundError(f"no file or folder {argument!r} on this machine")
        yield from map(Path, dict.fromkeys(found))


def _members(pattern: str) -> list[str]:
    return list(expand_braces(pattern))


def _matching(place: Place, member: str) -> list[str]:
    if has_magic(member):
        return place.fs.glob(member)
    return [place.fs.plain(member)] if place.fs.exists(member) else []
