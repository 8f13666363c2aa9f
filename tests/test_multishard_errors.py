"""Streams with broken shards: nothing vanishes without a word, and what is whole stays paired."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from conftest import PutObject
from support.fault_rules import Status
from support.faults import FaultProxy
from support.shard_streams import Streams, error_of, flat, loader_of, without
from support.tars import member, pack

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

# Tuples 0-3, 4-8, 9-10, 11-16; in the second stream 0-4, 5-8, 9-16.
SIZES = {"image": [4, 5, 2, 6], "mask": [4, 5, 2, 6]}
SHIFTED = {"image": [4, 5, 2, 6], "mask": [5, 4, 8]}

# What happens to shards, which tuples that takes away, and how many shards are skipped.
BROKEN: dict[str, tuple[Callable[[Streams], Any], range, int]] = {
    "missing": (lambda one: one.delete("mask-001"), range(4, 9), 1),
    "missing in the first": (lambda one: one.delete("image-001"), range(4, 9), 1),
    "missing in both": (
        lambda one: [one.delete(name) for name in ("mask-001", "image-001")],
        range(4, 9),
        2,
    ),
    "garbage": (lambda one: one.put("mask-000", b"no tar" * 300), range(4), 1),
    "cut": (lambda one: one.cut("mask-003", 3), range(14, 17), 1),
    "cut behind all files": (lambda one: one.cut("image-003", 6), range(0), 1),
}

WAYS = [(0, {}), (2, {}), (0, {"shuffle": True}), (0, {"world_size": 2, "uneven": "keep"})]


def ranks_of(streams: Streams, options: dict[str, Any]) -> list[Any]:
    """Return the dataset, or those of all ranks."""
    ranks = [options | {"rank": rank} for rank in range(options.get("world_size", 0))]
    return [streams.dataset(None, **one) for one in ranks or [options]]


@pytest.mark.parametrize(("workers", "options"), WAYS)
@pytest.mark.parametrize("case", BROKEN)
def test_the_rest_of_a_row_is_skipped(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    case: str,
    workers: int,
    options: dict[str, Any],
) -> None:
    """In all streams, but of no other row; the broken shard is named, counted and logged once."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    ruin, lost, skipped = BROKEN[case]
    datasets = ranks_of(streams, {"on_error": "skip", **options})
    ruin(streams)
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        got = [found for one in datasets for found in flat(loader_of(one, workers))]
    assert sorted(got) == sorted(without(streams.tuples, lost))
    urls = [url for one in datasets for url in one.skipped_urls()]
    assert len(urls) == len(set(urls)) == skipped
    assert sum(one.counters().skipped for one in datasets) == skipped
    if not workers:
        assert all(caplog.text.count(f"skipped {url}: ") == 1 for url in urls)
        assert caplog.text.count("skipped the rest of row") == 1


@pytest.mark.parametrize(("sizes", "workers"), [(SIZES, 0), (SIZES, 2), (SHIFTED, 0)])
@pytest.mark.parametrize("name", ["image-001", "mask-001"])
def test_a_missing_shard_raises(
    ais_bucket: Bucket, put_object: PutObject, sizes: dict, name: str, workers: int
) -> None:
    """By default, with the name of the shard."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset()
    streams.delete(name)
    error = error_of(loader_of(dataset, workers))
    assert isinstance(error, errors.ObjectNotFoundError)
    assert f"{name}.tar" in str(error)


@pytest.mark.parametrize(("workers", "options"), WAYS)
@pytest.mark.parametrize("files", [None, 2])
def test_other_content_in_its_place(
    ais_bucket: Bucket,
    put_object: PutObject,
    files: int | None,
    workers: int,
    options: dict[str, Any],
) -> None:
    """What a function gives is read behind as many files as came; nothing is skipped."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    other = [b"other %d" % number for number in range(5)]

    def give(url: str, error: errors.AISPipeError) -> bytes:
        assert url == streams.url("mask-001")
        assert isinstance(error, errors.ObjectNotFoundError | errors.IncompleteReadError)
        return pack([member(f"{number}", content) for number, content in enumerate(other)])

    datasets = ranks_of(streams, {"on_error": give, **options})
    if files is None:
        streams.delete("mask-001")
    else:
        streams.cut("mask-001", files)
    expected = list(streams.tuples)
    for number in range(files or 0, 5):
        expected[4 + number] = (expected[4 + number][0], other[number])
    got = [found for one in datasets for found in flat(loader_of(one, workers))]
    assert sorted(got) == sorted(expected)
    assert not any(one.skipped_urls() for one in datasets)


def test_content_of_another_length_is_an_error(ais_bucket: Bucket, put_object: PutObject) -> None:
    """The row that it would be in names its shards; to give None skips the row."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    short = pack([member("0", b"z")])
    dataset = streams.dataset(on_error=lambda *_: short)
    nothing = streams.dataset(on_error=lambda *_: None)
    streams.delete("mask-001")
    message = r"row 1 .*image-001.tar has 2 or more files, .*mask-001.tar has 1 files?[;,]"
    with pytest.raises(errors.UnequalStreamsError, match=message):
        list(iter(dataset))
    assert list(iter(nothing)) == without(streams.tuples, range(4, 9))


def test_too_many(ais_bucket: Bucket, put_object: PutObject) -> None:
    """`max_errors` shards may be skipped, not one more."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    dataset = streams.dataset(on_error="skip", max_errors=1)
    streams.delete("image-001")
    assert list(iter(dataset)) == without(streams.tuples, range(4, 9))
    streams.delete("mask-003")
    with pytest.raises(errors.TooManyErrorsError):
        list(iter(dataset))


def test_a_cluster_that_refuses_is_no_broken_shard(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """What is true of no shard in particular raises, whatever `on_error` says."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    dataset = streams.dataset(faults.endpoint, on_error="skip")
    with (
        faults.rule(Status(401, times=None, matches="GET /v1/objects/.*mask-001")),
        pytest.raises(errors.AuthenticationError, match="does not accept the token"),
    ):
        list(iter(dataset))
    assert not dataset.skipped_urls()


@pytest.mark.parametrize("files", [4, 6])
def test_a_shard_that_was_replaced(ais_bucket: Bucket, put_object: PutObject, files: int) -> None:
    """Whatever was listed or counted, what is read has to fit its row."""
    streams = Streams(ais_bucket, put_object, **SIZES)
    for dataset in (streams.dataset(shuffle=True), streams.dataset(rank=0, world_size=2)):
        len(dataset)
        streams.put("mask-000", pack([member(f"{n}", b"z") for n in range(files - 1)]))
        error = error_of(dataset)
        assert isinstance(error, errors.UnequalStreamsError)
        assert "mask-000.tar has " in str(error)
        streams.put("mask-000", pack([member(f"{n}", b"z") for n in range(4)]))
