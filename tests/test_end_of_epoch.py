"""States of the end of an epoch: the next epoch comes whole, and nothing of the old one again.

What torchdata's loader makes impossible is not asked for. Without workers it keeps that the last
batch was not full, and gives nothing more; with workers a state is that of the last snapshot,
which is in the middle of the epoch unless the number of steps is a multiple; and a loader that
raised ``StopIteration`` begins again by itself, with workers that never see the state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from aistore.sdk import Bucket, Client
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISIterDataset, AISShardReader
from conftest import PutObject
from support.fault_rules import Latency
from support.faults import FaultProxy
from support.tars import shard

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:Length of IterableDataset"),
]

COUNT = 12
KINDS = ["objects", "shards"]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Twelve objects, and twelve samples in four shards."""
    for number in range(COUNT):
        put_object(ais_bucket, f"o/{number:02d}", b"x")
    for number in range(4):
        put_object(ais_bucket, f"t/{number}.tar", shard(3 * number, 3))
    return ais_bucket


def name_of(found: tuple[str, Any]) -> str:
    """The name."""
    return found[0]


def dataset_of(kind: str, bucket: Bucket) -> Any:
    """Return a shuffled dataset, so that no two epochs have one order."""
    make: Any = AISIterDataset if kind == "objects" else AISShardReader
    prefix = "o/" if kind == "objects" else "t/"
    return make(bucket, prefix_map={bucket: prefix}, transform=name_of, shuffle=True)


def loader_of(dataset: Any, batch_size: int | None, workers: int, every: int) -> Any:
    """Return torchdata's loader."""
    return StatefulDataLoader(
        dataset,
        batch_size=batch_size,
        collate_fn=list if batch_size else None,
        num_workers=workers,
        snapshot_every_n_steps=every,
    )


def flat(batches: Iterable[Any], batch_size: int | None) -> list[str]:
    """Return the names in batches."""
    return list(itertools.chain.from_iterable(batches)) if batch_size else list(batches)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_over", [False, True], ids=["after the last sample", "at the end"])
def test_a_state_of_the_end(bucket: Bucket, kind: str, is_over: bool) -> None:
    """A dataset alone: loaded with the next epoch, that comes whole; with the same, nothing."""
    dataset = dataset_of(kind, bucket)
    samples = iter(dataset)
    assert len(list(itertools.islice(samples, COUNT))) == COUNT
    if is_over:
        assert next(samples, None) is None
    state = dataset.state_dict()
    expected = dataset_of(kind, bucket)
    expected.set_epoch(1)
    following, same = dataset_of(kind, bucket), dataset_of(kind, bucket)
    for resumed, epoch in ((following, 1), (same, 0)):
        resumed.load_state_dict(state)
        resumed.set_epoch(epoch)
    assert list(same) == []
    assert list(following) == list(expected)


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("batch_size", [None, 2, 5])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_the_last_batch(
    bucket: Bucket, kind: str, workers: int, batch_size: int | None, every: int
) -> None:
    """A loader's, loaded with the next epoch, gives that; with the same one, no batch."""

    def resumed(epoch: int) -> list[Any]:
        dataset = dataset_of(kind, bucket)
        loader = loader_of(dataset, batch_size, workers, every)
        loader.load_state_dict(state)
        dataset.set_epoch(epoch)
        return list(loader)

    loader = loader_of(dataset_of(kind, bucket), batch_size, workers, every)
    steps = len(list(loader))
    loader.dataset.set_epoch(0)
    batches = list(itertools.islice(iter(loader), steps))
    state = loader.state_dict()
    assert resumed(0) == []
    is_full = batch_size is None or len(batches[-1]) == batch_size
    if steps % every == 0 if workers else is_full:
        following = dataset_of(kind, bucket)
        following.set_epoch(1)
        expected = list(loader_of(following, batch_size, workers, every))
        # The order of the batches may begin with another worker.
        assert sorted(resumed(1)) == sorted(expected)


@pytest.mark.parametrize("batch_size", [None, 2, 5])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_after_stop_iteration(
    bucket: Bucket, kind: str, workers: int, batch_size: int | None
) -> None:
    """A loader that had ended begins again: the epoch that is set comes whole, in its order."""
    loader = loader_of(dataset_of(kind, bucket), batch_size, workers, 1)
    assert len(flat(loader, batch_size)) == COUNT
    state = loader.state_dict()
    dataset, fresh = dataset_of(kind, bucket), dataset_of(kind, bucket)
    resumed = loader_of(dataset, batch_size, workers, 1)
    resumed.load_state_dict(state)
    for one in (dataset, fresh):
        one.set_epoch(1)
    assert list(resumed) == list(loader_of(fresh, batch_size, workers, 1))


def test_workers_that_find_late_that_an_epoch_is_over(bucket: Bucket, faults: FaultProxy) -> None:
    """They are those of a pass that torchdata begins to find it; the next pass is not disturbed."""
    bucket = Client(faults.endpoint).bucket(bucket.name)
    loader = loader_of(dataset_of("shards", bucket), 2, 2, 1)
    assert len(flat(loader, 2)) == COUNT
    dataset, fresh = dataset_of("shards", bucket), dataset_of("shards", bucket)
    resumed = loader_of(dataset, 2, 2, 1)
    resumed.load_state_dict(loader.state_dict())
    expected = []
    for epoch in (1, 2):
        fresh.set_epoch(epoch)
        expected.append(list(loader_of(fresh, 2, 2, 1)))
    dataset.set_epoch(1)
    with faults.rule(Latency(times=2, matches="/v1/(objects|ml)/", seconds=1)) as slow:
        assert list(resumed) == expected[0]
        assert faults.hits(slow) == 2
    assert list(resumed) == expected[1]
