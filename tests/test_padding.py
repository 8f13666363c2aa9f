"""Counters of padding: what ranks get twice, so that all of them make equally many steps."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, AISShardReader, Manifest
from conftest import PutObject
from support.pairs import fill
from support.tars import shard

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

COUNT = 23
SHARDS = [2, 5, 1, 4, 3]


@pytest.fixture
def objects(ais_bucket: Bucket, put_object: PutObject) -> Manifest:
    """A prime number of objects."""
    fill(ais_bucket, put_object, COUNT)
    return Manifest.build(ais_source_list=ais_bucket)


@pytest.fixture
def shards(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Shards of unlike sizes."""
    for number, count in enumerate(SHARDS):
        put_object(ais_bucket, f"{number}.tar", shard(10 * number, count))
    return ais_bucket


def key_of(pair: tuple[str, Any]) -> str:
    """What names a sample."""
    return pair[0]


@pytest.mark.parametrize(("ranks", "workers"), [(2, 0), (4, 0), (3, 2), (8, 2)])
@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_padding_of_objects(objects: Manifest, ranks: int, workers: int, uneven: Any) -> None:
    """All ranks together count as many as objects come twice, and no other."""
    found, padding = [], 0
    for rank in range(ranks):
        options: dict[str, Any] = {"rank": rank, "world_size": ranks, "uneven": uneven}
        dataset = AISIterDataset(manifest=objects, transform=key_of, **options)
        found += list(DataLoader(dataset, batch_size=None, num_workers=workers))
        padding += dataset.counters().padding
    assert padding == len(found) - len(set(found))
    assert padding == (-COUNT % ranks if uneven == "pad" else 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_padding_of_shards(shards: Bucket, workers: int) -> None:
    """All ranks together count as many as samples come twice."""
    found, padding = [], 0
    for rank in range(2):
        dataset = AISShardReader(shards, transform=key_of, rank=rank, world_size=2)
        found += list(DataLoader(dataset, batch_size=None, num_workers=workers))
        padding += dataset.counters().padding
    assert len(set(found)) == sum(SHARDS)
    assert padding == len(found) - sum(SHARDS) > 0


@pytest.mark.parametrize("stop", [0, 3, 5, 6])
def test_padding_is_counted_once_over_a_stop(objects: Manifest, stop: int) -> None:
    """A state before the padding, or behind it, changes nothing."""
    found, padding = [], 0
    for rank in range(4):
        state = None
        for most in (stop, None):
            dataset = AISIterDataset(manifest=objects, transform=key_of, rank=rank, world_size=4)
            if state:
                dataset.load_state_dict(state)
            found += list(itertools.islice(dataset, most))
            state = dataset.state_dict()
            padding += dataset.counters().padding
    assert len(found) == COUNT + 1
    assert len(set(found)) == COUNT
    assert padding == 1
