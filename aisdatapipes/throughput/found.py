"""Found: the files and the shards under a prefix, as far as they are read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from aisdatapipes.client.connection import bucket_for, resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.listing.bucket_listing import list_sizes
from aisdatapipes.manifests.gathering import gather
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.selections import Selection
from aisdatapipes.urls import ParsedURL, parse_url

__all__ = ["SETTINGS", "Found", "find"]

SETTINGS = Settings(outage_deadline_s=30.0)
"""A cluster that is not whole for so long is an error: it is not what was to be measured."""

_SHARDS = (".tar", ".tar.gz", ".tgz")
_BIG_BYTES = 64 * 2**20
_MOST_NAMES = 200_000
_Names = list[tuple[str, int]]


@dataclass
class Found:
    """What is under a prefix.

    Attributes:
        prefix: Its URL.
        endpoint: Address of the cluster.
        files: Name and bytes of each object that is no shard.
        shards: Likewise, of tars.
        big: How many files are too big to be held in memory by dozens; they are not read.
        seconds: How long the listing took.
        is_all: Whether it came to its end.
    """

    prefix: ParsedURL
    endpoint: str
    files: _Names = field(default_factory=list)
    shards: _Names = field(default_factory=list)
    big: int = 0
    seconds: float = 0.0
    is_all: bool = True

    @property
    def names(self) -> int:
        """How many objects were listed."""
        return len(self.files) + len(self.shards) + self.big

    def manifest_of(self, names: _Names) -> Manifest:
        """Return a manifest of some of them."""
        chosen = _Chosen(replace(self.prefix, name=""), chosen=names)
        return Manifest(gather([chosen]), self.endpoint)


@dataclass(frozen=True)
class _Chosen(Selection):
    """Objects of a bucket of which name and size are known."""

    chosen: Sequence[tuple[str, int]] = ()

    def objects(self) -> Iterator[tuple[str, int]]:
        return iter(self.chosen)


def find(url: str, endpoint: str | None, seconds: float) -> Found:
    """List what is under a prefix, for some seconds at most.

    Args:
        url: ``ais://bucket/prefix``, which may be a pattern.
        endpoint: Address of the cluster; default ``$AIS_ENDPOINT``.
        seconds: After them, or after 200,000 names, the listing stops.

    Raises:
        InvalidURLError: `url` is no URL of a prefix.
        NoObjectsError: Nothing is there.
        BucketNotFoundError: The cluster has no such bucket.

    Example:
        >>> found = find("ais://caltech256/002", None, 1.0)
        >>> len(found.files), len(found.shards), found.is_all
        (2, 0, True)
    """
    prefix = parse_url(url)
    if prefix.endpoint:
        raise InvalidURLError(f"{url!r} is a full URL: write ais://bucket/prefix, and --endpoint")
    found = Found(prefix, resolve_endpoint(endpoint))
    bucket = bucket_for(prefix, found.endpoint, SETTINGS)
    begin = time.monotonic()
    entries = list_sizes(bucket, prefix, found.endpoint, allow_empty=False)
    for name, size in entries:
        if found.names == _MOST_NAMES or time.monotonic() - begin > seconds:
            found.is_all = False
            break
        _take(found, name, size)
    found.seconds = time.monotonic() - begin
    return found


def _take(found: Found, name: str, size: int) -> None:
    if name.lower().endswith(_SHARDS):
        found.shards.append((name, size))
    elif size > _BIG_BYTES:
        found.big += 1
    else:
        found.files.append((name, size))
