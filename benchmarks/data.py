"""Data: what is read, made from a fixed seed and stored once, and the jobs to read it."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data_files import FILE_KINDS, small_contents, store_files
from benchmarks.job import Job
from benchmarks.scale import FULL, SMALL, Scale
from benchmarks.storing import Store

__all__ = ["FULL", "SMALL", "Scale", "store"]

_IMAGE_BYTES = 35 * 1024
_LABEL = b"123"
_SAMPLE_BYTES = _IMAGE_BYTES + len(_LABEL)
_BLOCK_BYTES = 512
_FEW_OBJECTS_IN = 5


def store(kind: str, endpoint: str, scale: Scale, folder: Path) -> dict[str, Job]:
    """Fill a cluster with data.

    Args:
        kind: Which: ``objects``, ``shards``, ``names``, ``big shard``, or one of `FILE_KINDS`.
        endpoint: Address of the cluster, of one target.
        scale: How much of it.
        folder: Where local copies of the shards go.

    Returns:
        The job to read it, for each kind of data that was made; ``S3 objects``, the first of
        the objects, come with the others, and ``a fifth of the names`` with the names.
    """
    cluster = Store(endpoint)
    cluster.allow_s3_clients()
    if kind in FILE_KINDS:
        return store_files(kind, cluster, endpoint, scale)
    if kind == "objects":
        return _store_objects(cluster, endpoint, scale)
    if kind == "names":
        return _store_names(cluster, endpoint, scale)
    if kind == "shards":
        return {kind: _store_shards(cluster, endpoint, scale, folder)}
    return {kind: _store_big_shard(cluster, endpoint, scale)}


def _store_objects(cluster: Store, endpoint: str, scale: Scale) -> dict[str, Job]:
    jobs = {}
    few = max(1, scale.objects // _FEW_OBJECTS_IN)
    for kind, bucket, count, checksum in [
        ("objects", "objects", scale.objects, "xxhash2"),
        ("S3 objects", "objects-for-s3", few, "md5"),
    ]:
        contents = list(small_contents(count))
        cluster.create_bucket(bucket, checksum)
        cluster.put_all(bucket, contents)
        size = sum(len(content) for _, content in contents)
        jobs[kind] = Job(endpoint, bucket, count, size, [name for name, _ in contents])
    return jobs


def _store_shards(cluster: Store, endpoint: str, scale: Scale, folder: Path) -> Job:
    cluster.create_bucket("shards")
    names = [f"train-{number:03}.tar" for number in range(scale.shards)]
    for number, name in enumerate(names):
        shard = b"".join(_shard(range(number * scale.samples, (number + 1) * scale.samples)))
        cluster.put_all("shards", [(name, shard)])
        (folder / name).write_bytes(shard)
    items = scale.shards * scale.samples
    return Job(endpoint, "shards", items, items * _SAMPLE_BYTES, names, folder=str(folder))


def _store_names(cluster: Store, endpoint: str, scale: Scale) -> dict[str, Job]:
    cluster.create_bucket("names")
    fifth = scale.names // 5
    contents = ((f"{number // fifth}/{number:09}.jpg", b"") for number in range(scale.names))
    cluster.put_all("names", contents)
    return {
        "names": Job(endpoint, "names", scale.names, scale.names),
        "a fifth of the names": Job(endpoint, "names", fifth, fifth, prefix="0/"),
    }


def _store_big_shard(cluster: Store, endpoint: str, scale: Scale) -> Job:
    cluster.create_bucket("big-shard")
    count = scale.big_samples
    size = sum(map(len, _shard(range(1)))) + (count - 1) * _bytes_of_a_sample()
    cluster.put_stream("big-shard", "train.tar", size, _shard(range(count)))
    return Job(endpoint, "big-shard", count, count * _SAMPLE_BYTES, ["train.tar"])


def _shard(numbers: range) -> Iterator[bytes]:
    """Yield a tar of samples, in pieces."""
    pool = random.Random(1).randbytes(2**20)  # noqa: S311 - data, no secret
    for number in numbers:
        start = number * 997 % (len(pool) - _IMAGE_BYTES)
        yield from _member(f"train/{number:06}.jpg", pool[start : start + _IMAGE_BYTES])
        yield from _member(f"train/{number:06}.cls", _LABEL)
    yield bytes(2 * _BLOCK_BYTES)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    yield info.tobuf(tarfile.USTAR_FORMAT)
    yield content
    yield bytes(-len(content) % _BLOCK_BYTES)


def _bytes_of_a_sample() -> int:
    return sum(map(len, _shard(range(1)))) - 2 * _BLOCK_BYTES
