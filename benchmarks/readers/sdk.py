"""The datasets of the AIStore SDK, and its listing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from aistore.pytorch import AISIterDataset, AISMapDataset, AISShardReader
from aistore.pytorch.batch_iter_dataset import AISBatchIterDataset
from aistore.sdk import Bucket, Client
from torch.utils.data import DataLoader

from benchmarks.job import Job
from benchmarks.readers.loading import batch_of_sizes, loader_settings

__all__ = [
    "batch_dataset",
    "iter_dataset",
    "iter_in_workers",
    "map_dataset",
    "map_shuffled",
    "names",
    "shards",
]


def names(job: Job) -> Iterator[int]:
    """``Bucket.list_objects_iter``."""
    return (1 for _ in _bucket(job).list_objects_iter(prefix=job.prefix, props="name"))


def iter_dataset(job: Job) -> Iterator[int]:
    """``AISIterDataset``."""
    return (len(content) for _, content in AISIterDataset(_bucket(job)))


def iter_in_workers(job: Job) -> Iterator[int]:
    """``AISIterDataset`` in a DataLoader."""
    dataset = AISIterDataset(_bucket(job))
    for sizes in DataLoader(dataset, collate_fn=batch_of_sizes, **loader_settings(job)):
        yield from sizes


def map_dataset(job: Job) -> Iterator[int]:
    """``AISMapDataset``, from the first index to the last."""
    dataset = AISMapDataset(_bucket(job))
    return (len(dataset[index][1]) for index in range(len(dataset)))


def map_shuffled(job: Job) -> Iterator[int]:
    """``AISMapDataset`` in a DataLoader that shuffles."""
    dataset = AISMapDataset(_bucket(job))
    settings = loader_settings(job)
    for sizes in DataLoader(dataset, shuffle=True, collate_fn=batch_of_sizes, **settings):
        yield from sizes


def batch_dataset(job: Job) -> Iterator[int]:
    """``AISBatchIterDataset``."""
    size = job.options["max_batch_size"]
    dataset = AISBatchIterDataset(_bucket(job), _client(job.endpoint), max_batch_size=size)
    return (len(content) for _, content in dataset)


def shards(job: Job) -> Iterator[int]:
    """``AISShardReader``."""
    for _, contents in AISShardReader(_bucket(job)):
        yield sum(map(len, contents.values()))


@cache
def _client(endpoint: str) -> Client:
    return Client(endpoint)


def _bucket(job: Job) -> Bucket:
    return _client(job.endpoint).bucket(job.bucket)
