"""Buckets of small objects that hold their own number, and loaders of what datasets yield."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from aistore.sdk import Bucket
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISIterDataset
from conftest import PutObject

Pair = tuple[str, bytes]


def content_of(number: int) -> bytes:
    """What object `number` holds: a kilobyte or so, of a length of its own."""
    return b"%d" % number * (300 + number % 50)


def fill(bucket: Bucket, put_object: PutObject, count: int) -> list[Pair]:
    """Put `count` objects; return what a dataset should yield."""
    pairs = [(f"{number:04d}", content_of(number)) for number in range(count)]
    for name, content in pairs:
        put_object(bucket, name, content)
    return pairs


def stateful(dataset: AISIterDataset, workers: int, **options: Any) -> StatefulDataLoader:
    """Return the loader that has a state, in batches of four."""
    return StatefulDataLoader(
        dataset, batch_size=4, collate_fn=list, num_workers=workers, **options
    )


def flat(batches: Iterable[list[Pair]], most: int | None = None) -> list[Pair]:
    """Return the pairs of all batches, or of the first few."""
    return list(itertools.chain.from_iterable(itertools.islice(batches, most)))
