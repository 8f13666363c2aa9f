"""What is in the bucket of a trial: objects and shards, whose contents follow from their names."""

from __future__ import annotations

import hashlib

from aistore.sdk import Bucket

from conftest import PutObject
from support.tars import member, pack

__all__ = ["OBJECTS", "SAMPLES", "content", "fill", "shard_keys"]

_SHARDS, _PER_SHARD = 8, 20
# A connection that breaks does so within an object now and then.
_BYTES = 4096

OBJECTS = [f"{number:04d}" for number in range(160)]
"""Keys of all objects."""


def shard_keys(shard: int) -> list[str]:
    """Return the keys of the samples of one shard."""
    return [f"{shard:02d}-{number:02d}" for number in range(_PER_SHARD)]


SAMPLES = [key for shard in range(_SHARDS) for key in shard_keys(shard)]
"""Keys of all samples in the shards."""


def content(key: str) -> bytes:
    """Return what the object or sample of a key holds, which no other one does."""
    digest = hashlib.sha256(key.encode()).hexdigest().encode()
    return digest * (_BYTES // len(digest))


def fill(bucket: Bucket, put: PutObject) -> None:
    """Write all objects and shards."""
    for key in OBJECTS:
        put(bucket, f"objects/{key}.bin", content(key))
    for shard in range(_SHARDS):
        members = [member(f"{key}.bin", content(key)) for key in shard_keys(shard)]
        put(bucket, f"shards/{shard:02d}.tar", pack(members))
