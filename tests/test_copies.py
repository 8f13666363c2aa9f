"""A copy of a dataset is as good as the original: its epochs, its loaded state, its counters."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, merge_states
from conftest import PutObject

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

NAMES = [f"{number:02d}" for number in range(12)]
DONE = 9


def original(dataset: AISIterDataset) -> AISIterDataset:
    """No copy at all."""
    return dataset


def pickled(dataset: AISIterDataset) -> AISIterDataset:
    """A copy over pickle."""
    return pickle.loads(pickle.dumps(dataset))


COPIES: list[Callable[[Any], Any]] = [original, copy.copy, copy.deepcopy, pickled]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Objects that are numbered through."""
    for name in NAMES:
        put_object(ais_bucket, name, name.encode())
    return ais_bucket


def name_of(pair: tuple[str, bytes]) -> str:
    """The name."""
    return pair[0]


def epochs_of(dataset: AISIterDataset, loader: DataLoader, count: int) -> list[list[str]]:
    """Return what a loader gives in so many epochs."""
    epochs = []
    for epoch in range(count):
        dataset.set_epoch(epoch)
        epochs.append(list(loader))
    return epochs


@pytest.mark.parametrize("start", ["fork", "forkserver"])
@pytest.mark.parametrize("copied", COPIES)
def test_the_epoch_of_a_copy_reaches_persistent_workers(
    bucket: Bucket, copied: Callable[[Any], Any], start: str
) -> None:
    """``set_epoch`` of a copy gives each of its epochs the order that it has in a new dataset."""

    def dataset() -> AISIterDataset[str]:
        return AISIterDataset(bucket, shuffle=True, transform=name_of)

    expected = []
    for epoch in range(3):
        fresh = dataset()
        fresh.set_epoch(epoch)
        expected.append(list(fresh))
    one = copied(dataset())
    loader = DataLoader(
        one,
        batch_size=None,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=start,
    )
    assert epochs_of(one, loader, 3) == expected


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("is_numbered", [False, True], ids=["no set_epoch", "set_epoch"])
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_uses_a_loaded_state_once(
    bucket: Bucket, copied: Callable[[Any], Any], is_numbered: bool, workers: int
) -> None:
    """The first pass of a copy is the rest of the epoch, all others are whole."""
    first = AISIterDataset(bucket, transform=name_of)
    head = list(itertools.islice(first, DONE))
    base = AISIterDataset(bucket, transform=name_of)
    base.load_state_dict(merge_states(first.state_dict()))
    dataset = copied(base)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    passes = []
    for epoch in range(3):
        if is_numbered:
            dataset.set_epoch(epoch)
        passes.append(sorted(loader))
    assert passes == [sorted(set(NAMES) - set(head)), NAMES, NAMES]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_outlives_the_original(bucket: Bucket, copied: Callable[[Any], Any]) -> None:
    """It reads, skips and counts when the dataset that it is a copy of was read and is gone."""
    dataset = AISIterDataset(bucket, transform=name_of, on_error="skip")
    bucket.object(NAMES[3]).delete()
    assert list(dataset) == NAMES[:3] + NAMES[4:]
    one = copied(dataset)
    del dataset
    gc.collect()
    assert list(one) == NAMES[:3] + NAMES[4:]
    assert set(one.skipped_urls()) == {f"ais://{bucket.name}/{NAMES[3]}"}


@pytest.mark.parametrize("copied", COPIES[1:])
def test_copies_stand_each_where_it_is(bucket: Bucket, copied: Callable[[Any], Any]) -> None:
    """What one of them reads, loads or is told changes no state of the other."""
    dataset = AISIterDataset(bucket, transform=name_of)
    other = copied(dataset)
    samples, others = iter(dataset), iter(other)
    assert list(itertools.islice(samples, 2)) == NAMES[:2]
    assert list(itertools.islice(others, 5)) == NAMES[:5]
    consumed = [one.state_dict()["worker"]["consumed"] for one in (dataset, other)]
    assert consumed == [2, 5]
    other.load_state_dict(other.state_dict())
    dataset.set_epoch(4)
    assert list(other) == NAMES[5:]
    assert list(samples) == NAMES[2:]
    assert list(dataset) == list(other) == NAMES
    assert [one.state_dict()["epoch"] for one in (dataset, other)] == [4, 0]
