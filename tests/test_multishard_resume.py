"""Streams of shards stopped in mid-epoch: the rest once, paired, and nothing read twice."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from aistore.sdk import Bucket
from typing_extensions import override

from aisdatapipes import AISMultiShardStream, Settings, merge_states
from aisdatapipes.errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    StateMismatchError,
    UnequalStreamsError,
)
from conftest import PutObject
from support.fault_rules import Latency, Rule, Take
from support.faults import FaultProxy
from support.shard_streams import Streams, error_of, flat, stateful, tar_bytes
from support.tars import member, pack

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

ROWS = {"image": [7, 5, 0, 6, 4], "mask": [7, 5, 0, 6, 4]}
SHIFTED = {"image": [3, 5, 4, 0, 5, 5], "mask": [4, 4, 14], "depth": [22]}
COUNT = 22


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


def saved(dataset: AISMultiShardStream) -> Any:
    """Return a state as a file keeps it."""
    return json.loads(json.dumps(dataset.state_dict()))


@pytest.mark.parametrize("whole_object_bytes", [2**20, 0])
@pytest.mark.parametrize(("sizes", "shuffle"), [(ROWS, False), (ROWS, True), (SHIFTED, False)])
def test_every_stop(
    ais_bucket: Bucket,
    put_object: PutObject,
    faults: FaultProxy,
    sizes: dict,
    shuffle: bool,
    whole_object_bytes: int,
) -> None:
    """The rest comes in order, and only that is read."""
    streams = Streams(ais_bucket, put_object, **sizes)
    settings = Settings(whole_object_bytes=whole_object_bytes)
    expected = [found for found in streams.dataset(shuffle=shuffle)]  # noqa: C416
    assert sorted(expected) == sorted(streams.tuples)
    dataset = streams.dataset(shuffle=shuffle)
    resumed = streams.dataset(faults.endpoint, shuffle=shuffle, settings=settings)
    ends = 1024 * sum(map(len, sizes.values()))
    iterator = iter(dataset)
    for stop in range(COUNT + 1):
        resumed.load_state_dict(saved(dataset))
        with faults.rule(Bytes()) as read:
            assert [found for found in resumed] == expected[stop:]  # noqa: C416
        assert sum(read.passed) <= tar_bytes(expected[stop:]) + ends
        assert next(iterator, None) == (expected[stop] if stop < COUNT else None)
    resumed.load_state_dict(saved(dataset))
    assert list(iter(resumed)) == []


@pytest.mark.parametrize("sizes", [{"a": [5, 3], "b": [5, 3]}, {"a": [5, 3], "b": [2, 6]}])
def test_compressed_shards(ais_bucket: Bucket, put_object: PutObject, sizes: dict) -> None:
    """They have no places to resume at: they are read from their beginning, and all comes once."""
    streams = Streams(ais_bucket, put_object, **sizes)
    for name in ("b-000", "b-001"):
        streams.put(name, gzip.compress(streams.content(name)))
    dataset, resumed = streams.dataset(), streams.dataset()
    iterator = iter(dataset)
    for stop in range(8):
        resumed.load_state_dict(saved(dataset))
        assert list(iter(resumed)) == streams.tuples[stop:]
        next(iterator)


@pytest.mark.parametrize("files", [0, 2])
def test_in_what_on_error_gave(ais_bucket: Bucket, put_object: PutObject, files: int) -> None:
    """A stop in it, or before it, or behind it, repeats nothing."""
    streams = Streams(ais_bucket, put_object, **ROWS)
    other = pack([member(f"{number}", b"other %d" % number) for number in range(7)])
    streams.cut("image-000", files)
    expected = list(streams.tuples)
    for number in range(files, 7):
        expected[number] = (b"other %d" % number, expected[number][1])
    dataset, resumed = (streams.dataset(on_error=lambda *_: other) for _ in range(2))
    iterator = iter(dataset)
    for stop in range(9):
        resumed.load_state_dict(saved(dataset))
        assert list(iter(resumed)) == expected[stop:]
        assert next(iterator) == expected[stop]


@pytest.mark.parametrize(
    ("before", "after"), [((2, 0), (1, 0)), ((1, 2), (1, 0)), ((1, 0), (3, 0)), ((2, 2), (1, 2))]
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_other_ranks_and_workers(
    ais_bucket: Bucket, put_object: PutObject, before: tuple, after: tuple, shuffle: bool
) -> None:
    """Merged, the states of all ranks resume with any number of ranks and workers, twice."""
    streams = Streams(ais_bucket, put_object, **ROWS)
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
    assert sorted([*got, *iter(dataset)]) == sorted(streams.tuples)


def test_a_stop_between_rows_can_only_be_shared_by_rows(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """A state of one process whose shards are not in line: several say so, another one resumes."""
    streams = Streams(ais_bucket, put_object, a=[3, 5, 4], b=[6, 2, 4])
    dataset = streams.dataset()
    got = list(islice(dataset, 4))
    merged = merge_states(saved(dataset))
    alone = streams.dataset()
    alone.load_state_dict(merged)
    assert got + list(iter(alone)) == streams.tuples
    shared = streams.dataset(on_error="skip")
    shared.load_state_dict(merged)
    at = f"file 1 of {streams.url('a-001')}, file 4 of {streams.url('b-000')}"
    with pytest.raises(UnequalStreamsError, match=f"{at}; those are no shards of one row"):
        next(iter(shared))
    loaded = streams.dataset()
    loaded.load_state_dict(merged)
    assert isinstance(error_of(stateful(loaded, 2)), UnequalStreamsError)
    with pytest.raises(UnequalStreamsError, match="pack the streams again"):
        streams.dataset(rank=0, world_size=2)


@pytest.mark.parametrize(
    ("sizes", "missing"), [(ROWS, "mask-001"), (SHIFTED, "image-004"), (SHIFTED, "mask-002")]
)
def test_after_an_error(
    ais_bucket: Bucket, put_object: PutObject, sizes: dict, missing: str
) -> None:
    """Where one stream fails, others may be further; the state is that of the tuples."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset()
    content = streams.content(missing)
    streams.delete(missing)
    got = []
    iterator = iter(dataset)
    with pytest.raises(ObjectNotFoundError, match=missing):
        got.extend(iterator)
    streams.put(missing, content)
    resumed = streams.dataset()
    resumed.load_state_dict(saved(dataset))
    assert got + list(iter(resumed)) == streams.tuples


@pytest.mark.parametrize("late", ["image-001", "image-004", "mask-002"])
def test_after_an_interrupt(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, late: str
) -> None:
    """Of one who waits for a shard too, where no row has begun and no tuple is complete."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset(faults.endpoint)
    got = []
    stall = Latency(seconds=60, matches=f"GET /v1/objects/.*{late}.*pid=")
    with faults.rule(stall), interrupted(1), pytest.raises(KeyboardInterrupt):
        got.extend(iter(dataset))
    resumed = streams.dataset()
    resumed.load_state_dict(saved(dataset))
    assert 0 < len(got) < COUNT
    assert got + list(iter(resumed)) == streams.tuples


@contextmanager
def interrupted(after_s: float) -> Iterator[None]:
    """Interrupt this thread after some seconds, as Ctrl-C does."""
    signal.setitimer(signal.ITIMER_REAL, after_s)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_shard_that_was_replaced(ais_bucket: Bucket, put_object: PutObject) -> None:
    """The state is of other data, before the sources are listed again and after it."""
    streams = Streams(ais_bucket, put_object, **ROWS)
    dataset, resumed = streams.dataset(), streams.dataset()
    list(islice(dataset, 9))
    state = saved(dataset)
    streams.put("mask-001", pack([member("other", bytes(20_000))]))
    resumed.load_state_dict(state)
    with pytest.raises(ObjectChangedError, match=r"mask-001\.tar was replaced since"):
        next(iter(resumed))
    with pytest.raises(StateMismatchError, match="make the dataset of the same sources"):
        streams.dataset().load_state_dict(state)
