"""The datasets of aisdatapipes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, AISMapDataset, AISShardReader, Manifest
from benchmarks.job import Job
from benchmarks.readers.loading import batch_of_sizes, loader_settings

__all__ = ["iter_dataset", "iter_in_workers", "manifest", "map_shuffled", "resumed", "shards"]


def iter_dataset(job: Job) -> Iterator[int]:
    """``AISIterDataset``."""
    return (len(content) for _, content in _dataset(job))


def iter_in_workers(job: Job) -> Iterator[int]:
    """``AISIterDataset`` in a DataLoader."""
    for sizes in DataLoader(_dataset(job), collate_fn=batch_of_sizes, **loader_settings(job)):
        yield from sizes


def manifest(job: Job) -> Iterator[int]:
    """``Manifest.build``: the names, with their sizes, kept."""
    built = Manifest.build(job.prefix_url, client_url=job.endpoint)
    return (1 for _ in range(len(built)))


def map_shuffled(job: Job) -> Iterator[int]:
    """``AISMapDataset`` in a DataLoader that shuffles."""
    dataset = AISMapDataset(client_url=job.endpoint, urls_list=job.prefix_url)
    settings = loader_settings(job)
    for sizes in DataLoader(dataset, shuffle=True, collate_fn=batch_of_sizes, **settings):
        yield from sizes


def resumed(job: Job) -> Iterator[int]:
    """``AISIterDataset`` made anew, with the state of one that has read nine tenths."""
    state = _state_after(job.endpoint, job.prefix_url, job.items - job.items // 10)
    dataset = _dataset(job)
    dataset.load_state_dict(state)
    return (len(content) for _, content in dataset)


def shards(job: Job) -> Iterator[int]:
    """``AISShardReader``."""
    reader = AISShardReader(client_url=job.endpoint, urls_list=job.prefix_url)
    for _, contents in reader:
        yield sum(map(len, contents.values()))


def _dataset(job: Job) -> AISIterDataset:
    return AISIterDataset(client_url=job.endpoint, urls_list=job.prefix_url)


@cache
def _state_after(endpoint: str, prefix_url: str, count: int) -> dict[str, Any]:
    """Return the state after so many objects; found once, in the round that is not measured."""
    dataset = AISIterDataset(client_url=endpoint, urls_list=prefix_url)
    for _ in islice(dataset, count):
        pass
    return dataset.state_dict()
