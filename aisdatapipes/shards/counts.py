"""Shard counts: how many samples or files each shard has, without reading the shards."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from aisdatapipes.errors import CLUSTER_WIDE, AISPipeError
from aisdatapipes.listing.bucket_listing import list_members
from aisdatapipes.reading.ranges import read_range
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object
from aisdatapipes.shards.samples import samples_of
from aisdatapipes.tar import TarReader, key_of

__all__ = ["UNKNOWN_COUNT", "count_files", "count_samples"]

UNKNOWN_COUNT = -1
"""Of a shard that cannot be read."""

_CONCURRENCY = 4
_END_MARK = bytes(1024)


def count_samples(urls: Sequence[str], parse: Callable[[str], ObjectRequest]) -> bytes:
    """Return the numbers of samples of shards, as 64-bit numbers in the order of this machine.

    The cluster lists the members of a shard; where it cannot, as of one that an ETL makes, the
    shard is read. A shard that cannot be read counts as empty: whoever reads it says why.

    Args:
        urls: The shards.
        parse: Makes the request for a URL.

    Raises:
        ClusterUnreachableError: Nothing answers at the endpoint.
        AuthenticationError: The cluster refuses the token.
    """
    return _counted([partial(_samples_in, url, parse) for url in urls], unreadable=0)


def count_files(
    shards: Iterable[tuple[Callable[[], ObjectRequest], int]],
    *,
    is_tolerant: bool = False,
    is_wary: bool = False,
) -> bytes:
    """Return the numbers of files in shards, as 64-bit numbers in the order of this machine.

    The cluster lists the files of a shard; where it cannot, as of one that an ETL makes, the
    shard is read. Of a shard that is cut the cluster lists what is left without a word.

    Args:
        shards: For each shard, what makes the request for it, and its bytes; -1 if unknown.
        is_tolerant: Whether a shard that cannot be read is `UNKNOWN_COUNT`.
        is_wary: Whether to make sure that no shard is cut. It costs a small request more for
            every shard; one that is packed is read.

    Raises:
        AISPipeError: A shard cannot be read, and that is not tolerated; or it is about the
            cluster, and not about one shard.
    """
    counts = [partial(_files_in, *shard, is_wary=is_wary) for shard in shards]
    return _counted(counts, UNKNOWN_COUNT if is_tolerant else None)


def _counted(counts: Iterable[Callable[[], int]], unreadable: int | None) -> bytes:
    """Count some shards at a time; None for `unreadable` raises what is wrong with one."""

    def count(one: Callable[[], int]) -> int:
        try:
            return one()
        except CLUSTER_WIDE:
            raise
        except AISPipeError:
            if unreadable is None:
                raise
            return unreadable

    with ThreadPoolExecutor(_CONCURRENCY) as threads:
        return array("q", threads.map(count, counts)).tobytes()


def _samples_in(url: str, parse: Callable[[str], ObjectRequest]) -> int:
    request = parse(url)
    if not request.etl:
        names = list_members(request.url, request.endpoint, request.settings)
        if keys := {key for key in map(key_of, names) if key}:
            return len(keys)
    with closing(open_object(request)) as file:
        return sum(1 for _ in samples_of(file, url))


def _files_in(make_request: Callable[[], ObjectRequest], size: int, *, is_wary: bool) -> int:
    request = make_request()
    if not request.etl:
        listed = sum(1 for _ in list_members(request.url, request.endpoint, request.settings))
        if listed and not (is_wary and not _has_end(request, size)):
            return listed
    with closing(open_object(request)) as file:
        return sum(1 for _ in TarReader(file, request.label).files())


def _has_end(request: ObjectRequest, size: int) -> bool:
    """Whether a shard has the end mark of a plain tar."""
    if size < len(_END_MARK):
        return False
    return read_range(request, size - len(_END_MARK), size - 1) == _END_MARK
