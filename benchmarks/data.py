"""Data: what is read, made from a fixed seed and stored once, and the jobs to read it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data_files import FILE_KINDS, small_contents, store_files
from benchmarks.data_shards import (
    SAMPLE_KINDS,
    bytes_of_a_sample,
    shard,
    store_samples,
    store_shards,
)
from benchmarks.job import Job
from benchmarks.scale import FULL, SMALL, Scale
from benchmarks.storing import Store

__all__ = ["FULL", "SMALL", "Scale", "store"]

_SAMPLE_BYTES = 35 * 1024 + 3
_FEW_OBJECTS_IN = 5


def store(kind: str, endpoint: str, scale: Scale, folder: Path) -> dict[str, Job]:
    """Fill a cluster with data.

    Args:
        kind: Which: ``objects``, ``shards``, ``names``, ``big shard``, or one of
            `FILE_KINDS` and `SAMPLE_KINDS`.
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
    if kind in SAMPLE_KINDS:
        return store_samples(kind, cluster, endpoint, scale, folder)
    if kind == "objects":
        return _store_objects(cluster, endpoint, scale)
    if kind == "names":
        return _store_names(cluster, endpoint, scale)
    if kind == "shards":
        return {kind: store_shards(cluster, endpoint, scale, folder, "shards")}
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
    size = sum(map(len, shard(range(1)))) + (count - 1) * bytes_of_a_sample()
    cluster.put_stream("big-shard", "train.tar", size, shard(range(count)))
    return Job(endpoint, "big-shard", count, count * _SAMPLE_BYTES, ["train.tar"])
