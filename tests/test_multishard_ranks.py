"""Streams of shards in several ranks: everything paired, and equally many steps."""

from __future__ import annotations

from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream
from conftest import PutObject
from support.faults import FaultProxy
from support.jobs import run_ranks
from support.shard_streams import Streams, Tuples, flat, listed_shards, loader_of

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

SHIFTED = {"image": [3, 5, 2, 6, 1], "mask": [4, 4, 0, 9]}


@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sizes", [SHIFTED, {"a": [3, 5, 1, 4, 0], "b": [13]}])
def test_ranks_make_equal_steps(
    ais_bucket: Bucket, put_object: PutObject, sizes: dict, uneven: Any, workers: int
) -> None:
    """Two ranks share the tuples; by default both make as many steps, and nothing is missing."""
    streams = Streams(ais_bucket, put_object, **sizes)
    ranks = [streams.dataset(rank=rank, world_size=2, uneven=uneven) for rank in range(2)]
    one, two = (list(loader_of(dataset, workers)) for dataset in ranks)
    read = flat(one) + flat(two)
    if uneven != "keep":
        assert len(one) == len(two)
    if uneven == "drop":
        assert len(read) == len(set(read))
    else:
        assert set(read) == set(streams.tuples)
    if uneven == "keep":
        assert len(read) == len(streams.tuples)
    assert set(read) <= set(streams.tuples)
    if not workers:
        assert [len(dataset) for dataset in ranks] == [len(flat(one)), len(flat(two))]


def test_a_worker_without_a_tuple_is_padded(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Its shard of the first stream is empty, so it repeats tuples of others."""
    streams = Streams(ais_bucket, put_object, a=[3, 5, 0, 4], b=[12])
    ranks = [streams.dataset(rank=rank, world_size=2) for rank in range(2)]
    one, two = (list(loader_of(dataset, 2)) for dataset in ranks)
    assert len(one) == len(two) == 2 + 2
    assert set(flat(one) + flat(two)) == set(streams.tuples)


def read_in_rank(url: str, bucket: str, names: list[str], workers: int) -> list[Tuples]:
    """Make the dataset inside a process group, and return the batches of the rank."""
    sources = [DataShard(url, bucket, prefix=f"{name}-") for name in names]
    return list(loader_of(AISMultiShardStream(sources), workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_of_a_group(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, workers: int
) -> None:
    """One rank lists streams and shards for all; both make equally many steps."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    job = (faults.endpoint, ais_bucket.name, streams.names, workers)
    one, two = run_ranks(2, read_in_rank, *job)
    assert len(one) == len(two)
    assert set(flat(one) + flat(two)) == set(streams.tuples)
    # The cluster lists nothing of the empty shard; it is asked once and then read.
    assert listed_shards(faults, ais_bucket) == 2 + 9


def batches_of(dataset: AISMultiShardStream) -> list[Tuples]:
    """Read, in a rank, a dataset that the launcher made."""
    return list(loader_of(dataset, 2))


def test_a_dataset_made_before_the_group_is_right(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """The ranks are looked for when the reading begins."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    one, two = run_ranks(2, batches_of, streams.dataset())
    assert len(one) == len(two)
    assert set(flat(one) + flat(two)) == set(streams.tuples)
