"""Streams of shards in several ranks: everything paired, and equally many steps."""

from __future__ import annotations

from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream
from conftest import PutObject
from support.faults import FaultProxy
from support.jobs import run_ranks
from support.shard_streams import Streams, Tuples, flat, loader_of, without

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

ROWS = {"image": [3, 5, 2, 6, 1], "mask": [3, 5, 2, 6, 1]}
EMPTY = {"a": [3, 5, 0, 4], "b": [3, 5, 0, 4]}


@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sizes", [ROWS, EMPTY])
def test_ranks_make_equal_steps(
    ais_bucket: Bucket, put_object: PutObject, sizes: dict, uneven: Any, workers: int
) -> None:
    """Unless they are to keep what they have; what is repeated or dropped is counted."""
    streams = Streams(ais_bucket, put_object, **sizes)
    ranks = [streams.dataset(rank=rank, world_size=2, uneven=uneven) for rank in range(2)]
    if (sizes, uneven, workers) == (EMPTY, "drop", 2):
        for dataset in ranks:
            with pytest.raises(ValueError, match="too few for 2 workers in each of 2 ranks"):
                list(iter(loader_of(dataset, workers)))
        return
    one, two = (list(loader_of(dataset, workers)) for dataset in ranks)
    read = flat(one) + flat(two)
    assert set(read) <= set(streams.tuples)
    if uneven != "keep":
        assert len(one) == len(two)
    padding = sum(dataset.counters().padding for dataset in ranks)
    dropped = sum(dataset.counters().dropped for dataset in ranks)
    assert len(read) == len(streams.tuples) + padding - dropped
    assert len(set(read)) == len(streams.tuples) - dropped
    assert bool(padding) == (uneven == "pad")
    assert bool(dropped) == (uneven == "drop")
    if not workers:
        assert [len(dataset) for dataset in ranks] == [len(flat(one)), len(flat(two))]


@pytest.mark.parametrize("uneven", ["pad", "drop"])
def test_a_shard_that_is_skipped_is_made_up_for(
    ais_bucket: Bucket, put_object: PutObject, uneven: Any
) -> None:
    """Its row is counted as far as it can be read, and padding is of rows that can be."""
    streams = Streams(ais_bucket, put_object, **ROWS)
    streams.cut("mask-003", 1)  # tuples 10-15
    options = {"world_size": 2, "uneven": uneven, "on_error": "skip"}
    ranks = [streams.dataset(rank=rank, **options) for rank in range(2)]
    one, two = (flat(loader_of(dataset, 0)) for dataset in ranks)
    assert len(one) == len(two) == 6  # 3 + 2 + 1, 5 + 1
    assert sorted(one + two) == sorted(without(streams.tuples, range(11, 16)))


def read_in_rank(url: str, bucket: str, names: list[str], workers: int) -> list[Tuples]:
    """Make the dataset inside a process group, and return the batches of the rank."""
    sources = [DataShard(url, bucket, prefix=f"{name}-") for name in names]
    return [batch for batch in loader_of(AISMultiShardStream(sources), workers)]  # noqa: C416


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_of_a_group(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, workers: int
) -> None:
    """One rank lists the streams and counts their files for all; all make equally many steps."""
    streams = Streams(ais_bucket, put_object, **ROWS)
    job = (faults.endpoint, ais_bucket.name, streams.names, workers)
    one, two = run_ranks(2, read_in_rank, *job)
    assert len(one) == len(two)
    assert set(flat(one) + flat(two)) == set(streams.tuples)
    assert faults.count("GET /v1/buckets/") == 2
