"""Gathering: the objects of selections, each once, as the bytes of a manifest's file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace

from aisdatapipes.manifests.file import BucketReference, pack_manifest
from aisdatapipes.manifests.selections import Selection
from aisdatapipes.urls import format_url

__all__ = ["ENCODING", "gather"]

# Names in a bucket of S3 may be any text, a half of a surrogate pair too.
ENCODING = ("utf-8", "surrogatepass")


def gather(selections: list[Selection]) -> bytes:
    """List what is selected and return a manifest's file of it.

    The order is that of the selections, of an object that is in several its first place.

    Raises:
        BucketNotFoundError: A cluster has no such bucket.
        AISPipeError: Another failure of the listing.
    """
    first_time = _FirstTime(selections)
    buckets: dict[BucketReference, int] = {}
    names, ends, sizes, numbers = bytearray(), array("q"), array("q"), array("I")
    for selection in selections:
        bucket_url = format_url(replace(selection.url, name="")).removesuffix("/")
        bucket = BucketReference(bucket_url, selection.cluster)
        number = buckets.setdefault(bucket, len(buckets))
        before = len(ends)
        for name, size in first_time.of(selection):
            names += name.encode(*ENCODING)
            ends.append(len(names))
            sizes.append(size)
        numbers.extend([number] * (len(ends) - before))
    return pack_manifest(list(buckets), ends, sizes, numbers, names)


class _FirstTime:
    """Leaves out what has come before.

    Of prefixes alone no name has to be kept: what comes again begins with an earlier prefix.
    Where names or patterns are given for a bucket, all that came from it are kept until the end.
    """

    def __init__(self, selections: list[Selection]) -> None:
        named = [one.bucket_key for one in selections if not one.is_prefix]
        self._names: dict[tuple, set[str]] = {key: set() for key in named}
        self._prefixes: dict[tuple, list[str]] = {}

    def of(self, selection: Selection) -> Iterable[tuple[str, int]]:
        """Yield name and size of the selection's objects that have not come before."""
        seen = self._names.get(selection.bucket_key)
        if seen is not None:
            return _unseen(selection.objects(), seen)
        prefixes = self._prefixes.setdefault(selection.bucket_key, [])
        earlier, prefix = tuple(prefixes), selection.url.name
        prefixes.append(prefix)
        if not earlier:
            return selection.objects()
        if prefix.startswith(earlier):
            return ()
        return (item for item in selection.objects() if not item[0].startswith(earlier))


def _unseen(objects: Iterable[tuple[str, int]], seen: set[str]) -> Iterator[tuple[str, int]]:
    for name, size in objects:
        if name not in seen:
            seen.add(name)
            yield name, size
