"""Streams with different numbers of files: an error, or an end that is counted."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from conftest import PutObject
from support.shard_streams import Streams, error_of, flat, loader_of

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

Sizes = dict[str, Sequence[int]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "sizes", [{"a": [4, 4], "b": [4, 3]}, {"a": [4, 3], "b": [4, 4]}, {"a": [4, 3], "b": [4, 3, 2]}]
)
def test_unequal_streams_raise(
    ais_bucket: Bucket, put_object: PutObject, workers: int, sizes: Sizes
) -> None:
    """The error names the streams and their lengths."""
    streams = Streams(ais_bucket, put_object, **sizes)
    error = error_of(loader_of(streams.dataset(), workers))
    assert isinstance(error, errors.UnequalStreamsError)
    lengths = map(sum, sizes.values())
    assert re.search("a- at .* has {}, .*b- at .* has {};".format(*lengths), str(error))


def test_unequal_streams_raise_where_one_ends(ais_bucket: Bucket, put_object: PutObject) -> None:
    """One process yields the tuples that there are first; several ranks do not begin."""
    streams = Streams(ais_bucket, put_object, a=[4, 4], b=[4, 3])
    iterator = iter(streams.dataset())
    assert list(itertools.islice(iterator, 7)) == streams.tuples
    with pytest.raises(errors.UnequalStreamsError):
        next(iterator)
    with pytest.raises(errors.UnequalStreamsError):
        streams.dataset(rank=0, world_size=2)


@pytest.mark.parametrize(("workers", "shuffle"), [(0, False), (2, False), (0, True)])
@pytest.mark.parametrize(
    ("sizes", "dropped"),
    [
        ({"a": [4, 4, 2], "b": [4, 3]}, 3),
        ({"a": [4, 3], "b": [4, 4, 2]}, 3),
        ({"a": [2, 2], "b": [9], "c": [3]}, 1 + 6),
    ],
)
def test_the_shortest_stream_ends_all(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    sizes: Sizes,
    dropped: int,
    workers: int,
    shuffle: bool,
) -> None:
    """With strict=False; what is left out of all streams is counted and logged."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset(strict=False, shuffle=shuffle)
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        assert sorted(flat(loader_of(dataset, workers))) == sorted(streams.tuples)
    assert dataset.counters().dropped == dropped
    if not workers:
        assert "stopped at the end of the shortest" in caplog.text
