"""Streams with different numbers of files: an error that helps, or an end that is counted."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from conftest import PutObject
from support.faults import FaultProxy
from support.shard_streams import Streams, error_of, flat, loader_of

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

# As many files in all, in other shards.
SHIFTED = {"a": [4, 3, 5], "b": [4, 5, 3]}

Sizes = dict[str, Sequence[int]]


@pytest.mark.filterwarnings("ignore:no objects in")  # a stream without a shard
@pytest.mark.parametrize(
    ("sizes", "ended"),
    [
        ({"a": [4, 4], "b": [4, 3]}, "b-"),
        ({"a": [4, 3], "b": [4, 4]}, "a-"),
        ({"a": [4, 3], "b": [4, 3, 2]}, "a-"),
        ({"a": [4, 3, 0, 2], "b": [2, 2, 3]}, "b-"),
        ({"a": [], "b": [2]}, "a-"),
    ],
)
def test_one_process_raises_where_a_stream_ends(
    ais_bucket: Bucket, put_object: PutObject, sizes: Sizes, ended: str
) -> None:
    """Behind all tuples that there are, and again when that is resumed; it names the stream."""
    streams = Streams(ais_bucket, put_object, **sizes)
    for at in {0, len(streams.tuples)}:
        dataset = streams.dataset()
        got = list(itertools.islice(dataset, at))
        resumed = streams.dataset()
        resumed.load_state_dict(dataset.state_dict())
        for _ in range(2):
            error = error_of(_taken(resumed, got))
            assert isinstance(error, errors.UnequalStreamsError)
            assert re.search(
                f"{ended} at http.* ended before the others; .*strict=False", str(error)
            )
            assert got == streams.tuples
            again = streams.dataset()
            again.load_state_dict(resumed.state_dict())
            resumed = again


def _taken(dataset: Any, got: list[Any]) -> Any:
    for found in dataset:
        got.append(found)
        yield found


@pytest.mark.parametrize(
    ("workers", "options"),
    [(2, {}), (0, {"shuffle": True}), (0, {"on_error": "skip"}), (0, {"on_error": lambda *_: b""})],
)
def test_rows_must_be_equal(
    ais_bucket: Bucket, put_object: PutObject, workers: int, options: dict[str, Any]
) -> None:
    """Where rows are shared, shuffled or skipped, the error has the shards, and what to do."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    error = error_of(loader_of(streams.dataset(**options), workers))
    assert isinstance(error, errors.UnequalStreamsError)
    row = re.search(r"of row (\d)", str(error))
    assert row
    assert row[1] in "12"
    for name in streams.names:
        assert f"{streams.url(f'{name}-00{row[1]}')} has " in str(error)
    assert "pack the streams again so that the n-th shards of all of them" in str(error)
    assert "in one process, without shuffle and with on_error='raise'" in str(error)


def test_several_ranks_do_not_begin(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Every rank says so when it makes the dataset, with the numbers of files."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    message = f"{streams.url('a-001')} has 3 files, {streams.url('b-001')} has 5 files"
    for rank in range(2):
        with pytest.raises(errors.UnequalStreamsError, match=re.escape(message)):
            streams.dataset(rank=rank, world_size=2)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"rank": 0, "world_size": 2}])
def test_streams_need_equally_many_shards(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, options: dict[str, Any]
) -> None:
    """It takes the listings only to say so."""
    streams = Streams(ais_bucket, put_object, a=[2, 2], b=[2, 2, 2])
    with pytest.raises(
        errors.UnequalStreamsError, match=r"a- at http\S* has 2, \S*b- at .* has 3;"
    ):
        next(iter(streams.dataset(faults.endpoint, **options)))
    assert faults.count("GET /v1/objects/") == 0


@pytest.mark.filterwarnings("ignore:no objects in")  # a stream without a shard
@pytest.mark.parametrize(
    ("workers", "options"),
    [
        (0, {}),
        (2, {}),
        (0, {"shuffle": True}),
        (0, {"on_error": "skip"}),
        (0, {"world_size": 2, "rank": 0}),
    ],
)
@pytest.mark.parametrize(
    ("sizes", "dropped"),
    [
        ({"a": [4, 4, 2], "b": [4, 3]}, 3),
        ({"a": [4, 3], "b": [4, 4, 2]}, 3),
        ({"a": [4, 3], "b": [4, 3, 2], "c": [4, 5, 2, 1]}, 2 + 5),
        ({"a": [4, 1], "b": [4, 2]}, 1),
        ({"a": [4, 3], "b": [4, 3]}, 0),
        ({"a": [], "b": [2, 1]}, 3),
        ({"a": [2, 1], "b": []}, 3),
    ],
)
def test_the_shortest_stream_ends_all(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    sizes: Sizes,
    dropped: int,
    workers: int,
    options: dict[str, Any],
) -> None:
    """With strict=False; what is left out of all streams is counted and logged, once."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset(strict=False, **options)
    datasets = [dataset]
    if "world_size" in options:
        datasets.append(streams.dataset(strict=False, rank=1, world_size=2))
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        got = [found for one in datasets for found in flat(loader_of(one, workers))]
    if len(datasets) == 1:
        assert sorted(got) == sorted(streams.tuples)
    else:
        assert set(got) == set(streams.tuples)
    assert sum(one.counters().dropped for one in datasets) == dropped
    if not workers:
        assert caplog.text.count("stopped at the end of the shortest") == bool(dropped)


@pytest.mark.parametrize("workers", [0, 2])
def test_only_the_last_row_may_be_unequal(
    ais_bucket: Bucket, put_object: PutObject, workers: int
) -> None:
    """Also with strict=False: behind an unequal row nothing would be paired as it should be."""
    streams = Streams(ais_bucket, put_object, a=[3, 3, 3], b=[3, 4, 2])
    error = error_of(loader_of(streams.dataset(strict=False, shuffle=True), workers))
    assert isinstance(error, errors.UnequalStreamsError)
    assert "row 1" in str(error)


def test_what_is_dropped_is_counted_once_over_a_stop(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """By whoever reads to the end; a state behind the end has nothing left, and drops nothing."""
    streams = Streams(ais_bucket, put_object, a=[2, 3, 1], b=[2, 5])
    for options, tuples, dropped in (({}, 6, 1), ({"on_error": "skip"}, 5, 3)):
        state: dict[str, Any] = {}
        got, counted = [], 0
        for _ in range(4):
            dataset = streams.dataset(strict=False, **options)
            if state:
                dataset.load_state_dict(state)
            got += itertools.islice(dataset, 2)
            state = dataset.state_dict()
            counted += dataset.counters().dropped
        assert got == streams.tuples[:tuples]
        assert counted == dropped
