"""Ranges of one object on a real node: what they hold, what they cost, what is replaced."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import pytest
from aistore.sdk import Bucket
from typing_extensions import override

from aisdatapipes import Settings, errors
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.ranges import read_range, read_ranges
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.bucket_properties import set_checksum
from support.fault_edits import EndEarly
from support.fault_rules import Answer, Ask, Cut, Rule, Status, Take
from support.faults import FaultProxy

DATA = random.Random(5).randbytes(200_000)
OTHER = random.Random(6).randbytes(200_000)
FAST = Settings(max_retries=2, first_backoff_s=0.01, max_backoff_s=0.05)


def request_for(bucket: Bucket, name: str, endpoint: str) -> ObjectRequest:
    """Return the request for an object."""
    return ObjectRequest.parse(f"ais://{bucket.name}/{name}", endpoint, FAST)


def some_ranges(count: int, size: int = len(DATA)) -> list[tuple[int, int]]:
    """Return ranges in a random order; some overlap, and some are empty."""
    rng = random.Random(count)
    begins = [rng.randrange(size - 300) for _ in range(count)]
    return [(begin, begin + rng.choice([0, 1, 300])) for begin in begins]


@pytest.mark.parametrize("name", ["o", "a b/c#d?e%41+&;='.bin", "ü/猫.tar"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 700])
def test_ranges_come_in_their_order(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, name: str, count: int
) -> None:
    """Overlapping, empty, backwards, of an object of any name: each has its own bytes."""
    put_object(ais_bucket, name, DATA)
    ranges = some_ranges(count)
    request = request_for(ais_bucket, name, ais_cluster.endpoint)
    assert list(read_ranges(request, ranges)) == [DATA[begin:end] for begin, end in ranges]


def test_hundreds_of_ranges_take_few_requests(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A chunk of up to 256 ranges is three requests, counted where one says."""
    put_object(ais_bucket, "o", DATA)
    report = SharedCounters()
    request = request_for(ais_bucket, "o", ais_cluster.endpoint)
    ranges = [(begin, begin + 100) for begin in range(0, 70_000, 100)]
    assert b"".join(read_ranges(request, ranges, report.of_this_process())) == DATA[:70_000]
    assert report.total().requests == 3 * 3


def test_big_ranges_are_not_held_together(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """As much is read at a time as an object may have that is held whole."""
    put_object(ais_bucket, "o", DATA)
    report = SharedCounters()
    request = request_for(ais_bucket, "o", ais_cluster.endpoint)
    request = replace(request, settings=replace(FAST, whole_object_bytes=25_000))
    ranges = [(begin, begin + 10_000) for begin in range(0, 100_000, 10_000)]
    contents = read_ranges(request, ranges, report.of_this_process())
    assert next(contents) == DATA[:10_000]
    assert report.total().requests == 2
    assert b"".join(contents) == DATA[10_000:100_000]


@pytest.mark.parametrize("count", [1, 50])
def test_a_missing_object_is_named(
    ais_bucket: Bucket, ais_cluster: LocalCluster, count: int
) -> None:
    """The error is that of the object."""
    request = request_for(ais_bucket, "missing", ais_cluster.endpoint)
    with pytest.raises(errors.ObjectNotFoundError, match="no object 'missing' in ais://"):
        list(read_ranges(request, [(0, 10)] * count))


@pytest.mark.parametrize("ranges", [[(0, 11)], [(20, 30)], [(0, 5)] * 9 + [(8, 12)] + [(0, 5)] * 9])
def test_a_range_beyond_the_end_is_an_error(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    ranges: list[tuple[int, int]],
) -> None:
    """Never fewer bytes than were asked for, nor fewer ranges."""
    put_object(ais_bucket, "o", DATA[:10])
    request = request_for(ais_bucket, "o", ais_cluster.endpoint)
    with pytest.raises(errors.IncompleteReadError):
        list(read_ranges(request, ranges))


def test_one_range_has_its_own_call(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Its last byte is included there."""
    put_object(ais_bucket, "o", DATA)
    request = request_for(ais_bucket, "o", ais_cluster.endpoint)
    assert read_range(request, 7, 11) == DATA[7:12]


@pytest.mark.parametrize("size", [len(DATA), len(DATA) - 1000, 5000, 0], ids=str)
@pytest.mark.parametrize("has_marks", [True, False])
def test_an_object_replaced_between_chunks_is_noticed(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    size: int,
    *,
    has_marks: bool,
) -> None:
    """What comes is of the first object; then an error, however small the other one is.

    Without checksum and version one of the same size cannot be told apart.
    """
    if not has_marks:
        set_checksum(ais_bucket, "none", versioned=False)
        size = min(size, len(DATA) - 1)
    put_object(ais_bucket, "o", DATA)
    ranges = some_ranges(600)
    contents = read_ranges(request_for(ais_bucket, "o", ais_cluster.endpoint), ranges)
    got = list(islice(contents, 10))
    put_object(ais_bucket, "o", OTHER[:size])
    with pytest.raises(errors.ObjectChangedError, match="was replaced while it was read"):
        got.extend(contents)
    assert got == [DATA[begin:end] for begin, end in ranges[: len(got)]]


@dataclass(frozen=True, eq=False)
class BeforeBatch(Rule):
    """Does something when a GetBatch comes, before it is passed on."""

    action: Callable[[], None]

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        if take():
            self.action()
        return None


@pytest.mark.parametrize("size", [len(DATA), len(DATA) - 1000, 5000], ids=str)
def test_an_object_replaced_within_a_chunk_is_noticed(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, size: int
) -> None:
    """GetBatch itself does not tell; nothing of the chunk is given out."""
    put_object(ais_bucket, "o", DATA)
    replace_it = BeforeBatch(
        action=lambda: put_object(ais_bucket, "o", OTHER[:size]), matches="/v1/ml/moss"
    )
    contents = read_ranges(request_for(ais_bucket, "o", faults.endpoint), some_ranges(50))
    with faults.rule(replace_it), pytest.raises(errors.ObjectChangedError):
        next(contents)
    assert faults.hits(replace_it) == 1


@pytest.mark.parametrize(
    "rule",
    [
        Cut(3000, matches="/v1/ml/moss"),
        EndEarly(after_entries=20),
        Status(400, times=None, matches="/v1/ml/moss"),
    ],
    ids=repr,
)
def test_a_broken_batch_is_read_again(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, rule: Rule
) -> None:
    """By another one, and by single requests where the cluster refuses batches."""
    put_object(ais_bucket, "o", DATA)
    ranges = some_ranges(50)
    request = request_for(ais_bucket, "o", faults.endpoint)
    with faults.rule(rule) as struck:
        assert list(read_ranges(request, ranges)) == [DATA[begin:end] for begin, end in ranges]
    # A refusal is believed at the second time, when the cluster is known to be whole.
    assert faults.hits(struck) == (2 if isinstance(rule, Status) else 1)


@pytest.mark.parametrize("extra", [1000, -1000])
def test_a_stream_without_marks_notices_another_size(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, extra: int
) -> None:
    """Where a bucket keeps no checksums and no versions, the size is what tells."""
    set_checksum(ais_bucket, "none", versioned=False)
    put_object(ais_bucket, "o", DATA)
    request = request_for(ais_bucket, "o", ais_cluster.endpoint)
    settings = replace(FAST, whole_object_bytes=0, read_ahead_bytes=1000)
    with open_object(replace(request, settings=settings)) as stream:
        stream.seek(150_000)
        assert stream.read(10) == DATA[150_000:150_010]
        put_object(ais_bucket, "o", OTHER[:100_000] + bytes(100_000 + extra))
        stream.seek(5_000)
        with pytest.raises(errors.ObjectChangedError, match=r"'o' in ais://.* was replaced"):
            stream.read(10)
