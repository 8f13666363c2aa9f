"""Sample counts: how many samples each shard has, without reading the shards."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from aisdatapipes.errors import AISPipeError
from aisdatapipes.fetching import ObjectRequest
from aisdatapipes.listing import list_members
from aisdatapipes.options import NEVER_SKIPPED
from aisdatapipes.shards import samples_of
from aisdatapipes.streams import open_object
from aisdatapipes.tar import key_of

__all__ = ["count_samples"]

_CONCURRENCY = 4


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
    with ThreadPoolExecutor(_CONCURRENCY) as threads:
        return array("q", threads.map(lambda url: _count(url, parse), urls)).tobytes()


def _count(url: str, parse: Callable[[str], ObjectRequest]) -> int:
    try:
        request = parse(url)
        if not request.etl:
            names = list_members(request.url, request.endpoint, request.settings)
            if keys := {key for key in map(key_of, names) if key}:
                return len(keys)
        with closing(open_object(request)) as file:
            return sum(1 for _ in samples_of(file, url))
    except NEVER_SKIPPED:
        raise
    except AISPipeError:
        return 0
