"""Random samples in batches of 256: of shards, and of the same samples as single objects."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from aistore.sdk import Client
from torch.utils.data import DataLoader

from aisdatapipes import (
    AISMapDataset,
    AISShardMapDataset,
    AISShardReader,
    ShardBlockSampler,
    ShardIndex,
)
from benchmarks.job import Job

__all__ = ["archpath", "blocks", "index", "objects", "samples", "shard_reader"]

_BATCH = 256


def samples(job: Job) -> Iterator[int]:
    """``AISShardMapDataset``, shuffled."""
    dataset = _samples(job.endpoint, job.prefix_url)
    for batch in DataLoader(dataset, _BATCH, shuffle=True, collate_fn=list):
        yield from (sum(map(len, files.values())) for _, files in batch)


def blocks(job: Job) -> Iterator[int]:
    """``AISShardMapDataset`` with `ShardBlockSampler`."""
    dataset = _samples(job.endpoint, job.prefix_url)
    loader = DataLoader(dataset, _BATCH, sampler=ShardBlockSampler(dataset), collate_fn=list)
    for batch in loader:
        yield from (sum(map(len, files.values())) for _, files in batch)


def objects(job: Job) -> Iterator[int]:
    """``AISMapDataset``, shuffled."""
    dataset = _objects(job.endpoint, job.prefix_url)
    for batch in DataLoader(dataset, _BATCH, shuffle=True, collate_fn=list):
        yield from (len(content) for _, content in batch)


def shard_reader(job: Job) -> Iterator[int]:
    """``AISShardReader``, in the order of the shards."""
    for _, files in AISShardReader(client_url=job.endpoint, urls_list=job.prefix_url):
        yield sum(map(len, files.values()))


def archpath(job: Job) -> Iterator[int]:
    """GetBatch of the SDK, of the two files of each sample by their paths in the shard."""
    client = Client(job.endpoint)
    bucket = client.bucket(job.bucket)
    if job.options["is_indexed"]:
        _index(job.endpoint, job.bucket)
    per_shard = job.items // len(job.names)
    numbers = random.sample(range(job.items), job.items)
    for first in range(0, job.items, _BATCH):
        batch = client.batch(bucket=bucket)
        for number in numbers[first : first + _BATCH]:
            for end in ("jpg", "cls"):
                batch.add(job.names[number // per_shard], archpath=f"train/{number:06}.{end}")
        found: Any = batch.get()  # the SDK's type has the raw response too
        sizes = (len(content) for _, content in found)
        yield from map(sum, zip(sizes, sizes, strict=True))


def index(job: Job) -> Iterator[int]:
    """``ShardIndex.build``, by the cluster's index or by scanning: the samples, found."""
    use = job.options["cluster_index"]
    built = ShardIndex.build(job.prefix_url, client_url=job.endpoint, cluster_index=use)
    return (1 for _ in range(len(built)))


@cache
def _samples(endpoint: str, url: str) -> AISShardMapDataset:
    # Without the cluster's index, of which another reader has none.
    return AISShardMapDataset(urls_list=url, client_url=endpoint, cluster_index="off")


@cache
def _objects(endpoint: str, url: str) -> AISMapDataset:
    return AISMapDataset(urls_list=url, client_url=endpoint)


@cache
def _index(endpoint: str, bucket: str) -> None:
    """Let the cluster index the shards, once."""
    client = Client(endpoint)
    job_id = client.bucket(bucket).make_request("post", "index-shard", {}).text.strip('"')
    client.job(job_id).wait(verbose=False)
