"""Resuming with torch's own DataLoader, as the README shows: batches tell where workers stand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from torch.utils.data import DataLoader, get_worker_info

from aisdatapipes import AISIterDataset, AISShardReader, merge_states
from aisdatapipes.types import Bucket
from conftest import PutObject
from support.tars import shard

COUNT = 24

pytestmark = [
    # On machines with fewer cores than the workers of a test.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Objects below ``o/``, and as many samples in shards below ``t/``."""
    for number in range(COUNT):
        put_object(ais_bucket, f"o/{number:04d}", b"x")
    for number in range(6):
        put_object(ais_bucket, f"t/{number}.tar", shard(4 * number, 4))
    return ais_bucket


def name_of(found: tuple[str, Any]) -> str:
    """The name of an object, or of a sample."""
    return found[0][-4:]


def with_state(samples: list[str]) -> tuple[list[str], int, dict[str, Any]]:
    """Return a batch, who made it, and where it stands now."""
    worker = get_worker_info()
    assert worker
    return samples, worker.id, worker.dataset.state_dict()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("kind", [AISIterDataset, AISShardReader])
def test_the_rest_comes_once(bucket: Bucket, kind: type[Any], workers: int, after: int) -> None:
    """Stopped as soon as every worker has given a batch, or later; and then with other workers."""
    options = {
        "prefix_map": {bucket: "o/" if kind is AISIterDataset else "t/"},
        "transform": name_of,
        "shuffle": True,
    }
    dataset, states, found = kind(bucket, **options), {}, []
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=with_state)
    for number, (batch, worker, state) in enumerate(itertools.islice(loader, workers + after)):
        assert worker == number % workers
        states[worker] = state
        found += batch
    for others in (0, 1, 2):
        again = kind(bucket, **options)
        again.load_state_dict(merge_states(*states.values()))
        rest = DataLoader(again, batch_size=None, num_workers=others)
        assert sorted([*found, *rest]) == [f"{number:04d}" for number in range(COUNT)]
