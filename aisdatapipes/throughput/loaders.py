"""Loaders: what is measured is torch's own ``DataLoader``, over the datasets that users have.

A worker reads whole files or whole samples, in an order that is shuffled, and decodes nothing. What
it has read crosses to the training process as one tensor of bytes for each batch, as decoded
images would.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from aisdatapipes.datasets import AISIterDataset, AISShardReader
from aisdatapipes.throughput.found import SETTINGS, Found

__all__ = ["Batch", "file_loader", "sample_loader"]

Batch = tuple[int, torch.Tensor]
"""How many files or samples, and all their bytes."""

_BATCH_BYTES = 4 * 2**20
_MOST_AT_A_TIME = 64
_SAMPLES_AT_A_TIME = 32


def file_loader(found: Found, workers: int) -> DataLoader[Any]:
    """Return a loader of the files, several in a batch: 64, or fewer of more than 64 KiB."""
    mean = sum(size for _, size in found.files) // len(found.files)
    at_a_time = min(max(_BATCH_BYTES // max(mean, 1), 1), _MOST_AT_A_TIME)
    dataset = AISIterDataset(
        manifest=found.manifest_of(found.files),
        client_url=found.endpoint,
        settings=SETTINGS,
        transform=_content,
        shuffle=True,
        seed=workers,  # another order, so that a row does not read what the last one has read
    )
    return _loader(dataset, workers, at_a_time)


def sample_loader(found: Found, workers: int) -> DataLoader[Any]:
    """Return a loader of the samples of the shards, 32 in a batch."""
    dataset = AISShardReader(
        manifest=found.manifest_of(found.shards),
        client_url=found.endpoint,
        settings=SETTINGS,
        transform=_files,
        shuffle=True,
        shuffle_buffer=1,  # the shards alone: what waits in a buffer is read, and not delivered
        seed=workers,
    )
    return _loader(dataset, workers, _SAMPLES_AT_A_TIME)


def _loader(dataset: Any, workers: int, at_a_time: int) -> DataLoader[Any]:
    with warnings.catch_warnings():
        # That there are fewer cores than workers: what comes of it is what is measured.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        return DataLoader(
            dataset,
            batch_size=at_a_time,
            num_workers=workers,
            collate_fn=_joined,
            persistent_workers=workers > 0,
        )


def _content(pair: tuple[str, bytes]) -> bytes:
    return pair[1]


def _files(sample: tuple[str, Mapping[str, bytes]]) -> bytes:
    return b"".join(sample[1].values())


def _joined(contents: list[bytes]) -> Batch:
    joined = bytearray(b"".join(contents))
    content = torch.frombuffer(joined, dtype=torch.uint8) if joined else torch.empty(0)
    return len(contents), content
