"""Streams of shards stopped in mid-epoch: the rest once, paired, and nothing read twice."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from aistore.sdk import Bucket
from typing_extensions import override

from aisdatapipes import AISMultiShardStream, Settings, merge_states
from aisdatapipes.errors import ObjectNotFoundError, StateMismatchError
from conftest import PutObject
from support.fault_rules import Rule, Take
from support.faults import FaultProxy
from support.shard_streams import Streams, Tuples, content_at, flat, put_stream, source, stateful
from support.tars import member, pack

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

ALIGNED = {"image": [7, 5, 1, 6, 4], "mask": [7, 5, 1, 6, 4]}
SHIFTED = {"image": [3, 5, 4, 0, 6, 5], "mask": [4, 4, 15], "depth": [23]}
COUNT = 23
STOPS = random.Random(5).sample(range(1, COUNT), 4)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bytes(Rule):
    """Counts the bytes of objects that pass; changes nothing."""

    matches: str = "GET /v1/objects/.*pid="
    passed: list[int] = field(default_factory=list)

    @override
    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.passed.append(len(chunk))
            yield chunk


def tar_bytes(tuples: Tuples) -> int:
    """How much of the shards these files are."""
    return sum(512 + -(-len(content) // 512) * 512 for found in tuples for content in found)


@pytest.mark.parametrize("whole_object_bytes", [2**20, 0])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("sizes", [ALIGNED, SHIFTED])
def test_alone(
    ais_bucket: Bucket,
    put_object: PutObject,
    faults: FaultProxy,
    sizes: dict,
    shuffle: bool,
    whole_object_bytes: int,
) -> None:
    """At any stop the rest comes in order; in order of the shards, only that is read."""
    streams = Streams(ais_bucket, put_object, **sizes)
    settings = Settings(whole_object_bytes=whole_object_bytes)
    expected = list(streams.dataset(shuffle=shuffle))
    assert sorted(expected) == sorted(streams.tuples)
    for stop in (*STOPS, 7, COUNT):
        dataset = streams.dataset(shuffle=shuffle)
        got = list(islice(dataset, stop))
        state = json.loads(json.dumps(dataset.state_dict()))
        resumed = streams.dataset(faults.endpoint, shuffle=shuffle, settings=settings)
        resumed.load_state_dict(state)
        with faults.rule(Bytes()) as read:
            assert got + [found for found in resumed] == expected  # noqa: C416
        if not shuffle:
            ends = 1024 * sum(map(len, sizes.values()))
            assert sum(read.passed) <= tar_bytes(expected[stop:]) + ends


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("sizes", [ALIGNED, SHIFTED])
def test_in_a_loader(
    ais_bucket: Bucket,
    put_object: PutObject,
    faults: FaultProxy,
    sizes: dict,
    shuffle: bool,
    workers: int,
) -> None:
    """StatefulDataLoader goes on with the next batch, from any step; aligned, it reads the rest."""
    streams = Streams(ais_bucket, put_object, **sizes)

    def loader() -> Any:
        return stateful(streams.dataset(faults.endpoint, shuffle=shuffle), workers)

    expected = list(loader())
    assert sorted(flat(expected)) == sorted(streams.tuples)
    for steps in (1, STOPS[0] // 3, len(expected) - 1):
        stopped = loader()
        batches = iter(stopped)
        got = [next(batches) for _ in range(steps)]
        state = json.loads(json.dumps(stopped.state_dict()))
        del batches, stopped
        resumed = loader()
        resumed.load_state_dict(state)
        with faults.rule(Bytes()) as read:
            rest = list(resumed)
        assert got + rest == expected
        if sizes == ALIGNED:
            assert sum(read.passed) <= tar_bytes(flat(rest)) + 1024 * 10


def test_packed_shards(ais_bucket: Bucket, put_object: PutObject) -> None:
    """They have no places to go on at, and still everything comes once."""
    images = put_stream(ais_bucket, put_object, "image", [5, 3])
    masks = [b"mask %d" % number for number in range(8)]
    shard = pack([member(f"{number}", mask) for number, mask in enumerate(masks)])
    put_object(ais_bucket, "mask-0.tar.gz", gzip.compress(shard))
    sources = [source(ais_bucket, "image"), source(ais_bucket, "mask")]
    expected = list(zip(images, masks, strict=True))
    for stop in (1, 5, 6):
        dataset = AISMultiShardStream(sources)
        got = list(islice(dataset, stop))
        resumed = AISMultiShardStream(sources)
        resumed.load_state_dict(dataset.state_dict())
        assert got + list(resumed) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_after_the_end_comes_the_next_epoch(
    ais_bucket: Bucket, put_object: PutObject, workers: int
) -> None:
    """A loader stopped between epochs goes on with the whole of the next one."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset(shuffle=True)
    loader = stateful(dataset, workers)
    first = list(loader)
    state = loader.state_dict()
    dataset.set_epoch(1)
    second = list(loader)
    again = streams.dataset(shuffle=True)
    resumed = stateful(again, workers)
    resumed.load_state_dict(state)
    again.set_epoch(1)
    assert list(resumed) == second != first


@pytest.mark.parametrize(
    ("before", "after"), [((2, 0), (1, 0)), ((1, 2), (1, 0)), ((1, 0), (3, 0)), ((2, 2), (1, 2))]
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_other_ranks_and_workers(
    ais_bucket: Bucket, put_object: PutObject, before: tuple, after: tuple, shuffle: bool
) -> None:
    """Merged, the states of all ranks go on with any number of ranks and workers, twice."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    options: dict[str, Any] = {"shuffle": shuffle, "uneven": "keep"}
    merged, got = None, []
    for ranks, workers in (before, after, before):
        states = []
        for rank in range(ranks):
            dataset = streams.dataset(rank=rank, world_size=ranks, **options)
            if merged:
                dataset.load_state_dict(merged)
            loader = stateful(dataset, workers, batch=2)
            got += flat(loader, 2)
            states.append(loader.state_dict())
        merged = merge_states(json.loads(json.dumps(states)))
        assert len(json.dumps(merged)) < 10_000
    dataset = streams.dataset(**options)
    dataset.load_state_dict(merged or {})
    assert sorted([*got, *dataset]) == sorted(streams.tuples)


def test_padded_ranks(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Two ranks that stop and go on make equally many steps, and nothing is missing."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    read = []
    for rank in range(2):
        dataset = streams.dataset(rank=rank, world_size=2)
        got = list(islice(dataset, 6))
        resumed = streams.dataset(rank=rank, world_size=2)
        resumed.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
        read.append([*got, *resumed])
        assert len(read[-1]) == len(dataset)
    assert len(read[0]) == len(read[1])
    assert set(read[0] + read[1]) == set(streams.tuples)


@pytest.mark.parametrize("missing", ["image-004.tar", "mask-002.tar"])
def test_after_an_error(ais_bucket: Bucket, put_object: PutObject, missing: str) -> None:
    """Where one stream fails, others may have gone on; the state is that of the tuples."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset()
    content = content_at(ais_bucket, missing)
    ais_bucket.object(missing).delete()
    got = []
    iterator = iter(dataset)
    with pytest.raises(ObjectNotFoundError, match=missing):
        got.extend(iterator)
    state = json.loads(json.dumps(dataset.state_dict()))
    put_object(ais_bucket, missing, content)
    resumed = streams.dataset()
    resumed.load_state_dict(state)
    assert got + list(resumed) == streams.tuples


def test_a_shard_that_changed_is_not_taken_up(ais_bucket: Bucket, put_object: PutObject) -> None:
    """One byte more in a stream, and the state is of other data."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    state = streams.dataset().state_dict()
    put_object(ais_bucket, "depth-000.tar", pack([member("other", b"z")]))
    with pytest.raises(StateMismatchError, match="make the dataset of the same sources"):
        streams.dataset().load_state_dict(state)


def test_another_seed_is_refused(ais_bucket: Bucket, put_object: PutObject) -> None:
    """The message names it."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    state = streams.dataset().state_dict()
    with pytest.raises(StateMismatchError, match="the state is of seed 0, here it is 1"):
        streams.dataset(seed=1).load_state_dict(state)
