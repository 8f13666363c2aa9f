"""Data of the works that read tar shards: what is in them, and the same in other forms."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.job import Job
from benchmarks.scale import Scale
from benchmarks.storing import Store

__all__ = ["SAMPLE_KINDS", "bytes_of_a_sample", "shard", "store_samples", "store_shards"]

SAMPLE_KINDS = ("random samples", "many samples")

_IMAGE_BYTES = 35 * 1024
_SMALL_BYTES = 500
_LABEL = b"123"
_BLOCK_BYTES = 512


def store_shards(cluster: Store, endpoint: str, scale: Scale, folder: Path, bucket: str) -> Job:
    """Store the shards in a bucket, and leave copies of them in a folder."""
    cluster.create_bucket(bucket)
    names = [f"train-{number:03}.tar" for number in range(scale.shards)]
    for number, name in enumerate(names):
        content = b"".join(shard(range(number * scale.samples, (number + 1) * scale.samples)))
        cluster.put_all(bucket, [(name, content)])
        (folder / name).write_bytes(content)
    items = scale.shards * scale.samples
    size = items * (_IMAGE_BYTES + len(_LABEL))
    return Job(endpoint, bucket, items, size, names, folder=str(folder))


def store_samples(
    kind: str, cluster: Store, endpoint: str, scale: Scale, folder: Path
) -> dict[str, Job]:
    """Fill a cluster with data.

    Args:
        kind: One of `SAMPLE_KINDS`.
        cluster: The cluster.
        endpoint: Its address.
        scale: How much of it.
        folder: Where local copies of the shards go.

    Returns:
        The job to read it, for each kind of data that was made: with the random samples come
        ``indexed shards``, of which the cluster may make an index, and ``samples as objects``.
    """
    if kind == "many samples":
        return {kind: _store_small_samples(cluster, endpoint, scale)}
    return {
        kind: store_shards(cluster, endpoint, scale, folder, "samples"),
        "indexed shards": store_shards(cluster, endpoint, scale, folder, "indexed-samples"),
        "samples as objects": _store_single_samples(cluster, endpoint, scale),
    }


def shard(numbers: range, image_bytes: int = _IMAGE_BYTES) -> Iterator[bytes]:
    """Yield a tar of samples, in pieces."""
    for number in numbers:
        yield from _member(f"train/{number:06}.jpg", _image(number, image_bytes))
        yield from _member(f"train/{number:06}.cls", _LABEL)
    yield bytes(2 * _BLOCK_BYTES)


def bytes_of_a_sample() -> int:
    """Return how much of a tar a sample takes."""
    return sum(map(len, shard(range(1)))) - 2 * _BLOCK_BYTES


def _store_single_samples(cluster: Store, endpoint: str, scale: Scale) -> Job:
    bucket, items = "single-samples", scale.shards * scale.samples
    cluster.create_bucket(bucket)
    names = [f"train/{number:06}" for number in range(items)]
    contents = (_image(number, _IMAGE_BYTES) + _LABEL for number in range(items))
    cluster.put_all(bucket, zip(names, contents, strict=True))
    return Job(endpoint, bucket, items, items * (_IMAGE_BYTES + len(_LABEL)), names)


def _store_small_samples(cluster: Store, endpoint: str, scale: Scale) -> Job:
    bucket, count = "many-samples", scale.names // 100
    cluster.create_bucket(bucket)
    names = [f"train-{number:03}.tar" for number in range(100)]
    ranges = (range(number * count, (number + 1) * count) for number in range(100))
    contents = (b"".join(shard(numbers, _SMALL_BYTES)) for numbers in ranges)
    cluster.put_all(bucket, zip(names, contents, strict=True))
    return Job(endpoint, bucket, scale.names, scale.names, names)


def _image(number: int, size: int) -> bytes:
    start = number * 997 % (len(_POOL) - size)
    return _POOL[start : start + size]


_POOL = random.Random(1).randbytes(2**20)  # noqa: S311 - data, no secret


def _member(name: str, content: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    yield info.tobuf(tarfile.USTAR_FORMAT)
    yield content
    yield bytes(-len(content) % _BLOCK_BYTES)
