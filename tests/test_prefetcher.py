"""The prefetcher: one outcome for every item, whatever the items are."""

from __future__ import annotations

import time

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings, errors
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, ReadOptions
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

NAMES = ["a", "missing", "b", "", "a", "big", "c", "missing"]
"""Names of objects; one is that of none, and one is no name."""

WHOLE = 100_000


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with some small objects and a big one."""
    for name in ("a", "b", "c"):
        put_object(ais_bucket, name, name.encode())
    put_object(ais_bucket, "big", bytes(WHOLE + 1))
    return ais_bucket


@pytest.mark.parametrize("max_batch", [512, 1])
@pytest.mark.parametrize("ordered", [True, False])
def test_every_item_has_one_outcome(
    bucket: Bucket, ais_cluster: LocalCluster, *, max_batch: int, ordered: bool
) -> None:
    """Missing, unnamed, repeated, small and big ones: one file or error for each position."""

    def request_for(position: int) -> ObjectRequest:
        url = f"ais://{bucket.name}/{NAMES[position]}"
        return ObjectRequest.parse(url, ais_cluster.endpoint, Settings(whole_object_bytes=WHOLE))

    options = ReadOptions(max_batch=max_batch, ordered=ordered, whole_object_bytes=WHOLE)
    counters = SharedCounters().of_this_process()
    outcomes = list(prefetch(range(len(NAMES)), request_for, options, counters))
    found = {outcome.item: outcome for outcome in outcomes}
    assert len(found) == len(outcomes) == len(NAMES)
    assert not ordered or list(found) == sorted(found)
    expected = {"missing": errors.ObjectNotFoundError, "": errors.InvalidURLError}
    for position, name in enumerate(NAMES):
        error = found[position].error
        assert type(error) is expected.get(name, type(None))
        if error is None:
            content = name.encode() if name != "big" else bytes(WHOLE + 1)
            with found[position].result() as file:
                assert file.read() == content


def test_an_outcome_raises_its_error(bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """As a future does: the result of what cannot be read is the error."""

    def request_for(name: str) -> ObjectRequest:
        return ObjectRequest.parse(f"ais://{bucket.name}/{name}", ais_cluster.endpoint, Settings())

    counters = SharedCounters().of_this_process()
    (outcome,) = prefetch(["missing"], request_for, ReadOptions(), counters)
    assert outcome.file is None
    with pytest.raises(errors.ObjectNotFoundError, match="'missing'"):
        outcome.result()


@pytest.mark.parametrize("max_batch", [512, 1])
def test_skipped_items_come_without_content(
    bucket: Bucket, ais_cluster: LocalCluster, max_batch: int
) -> None:
    """So nobody has to find out which item the next content belongs to."""
    reader = ObjectReader(
        ais_cluster.endpoint,
        options=ReadOptions(max_batch=max_batch),
        policy=ErrorPolicy("skip"),
    )
    names = [name for name in NAMES if name != "big"]
    items = list(enumerate(names))

    def url_of(item: tuple[int, str]) -> str:
        return f"ais://{bucket.name}/{item[1]}"

    found = list(reader.read_all(items, url_of))
    assert [item for item, _ in found] == items
    assert [content for _, content in found] == [
        name.encode() if name in ("a", "b", "c") else None for name in names
    ]
    assert reader.counters.skipped_urls() == [
        url_of(item) for item, content in found if not content
    ]
    counters = reader.counters.total()
    assert (counters.objects, counters.bytes, counters.skipped) == (4, 4, 3)
    assert reader.read_many(items[:4], url_of) == [(items[0], b"a"), (items[2], b"b")]


def test_a_replacement_is_an_object(bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """What a function has in place of an object comes, and counts, as if it had been read."""
    reader = ObjectReader(ais_cluster.endpoint, policy=ErrorPolicy(lambda _url, _error: b"instead"))
    urls = [f"ais://{bucket.name}/{name}" for name in ("a", "missing")]
    assert list(reader.read_all(urls, str)) == [(urls[0], b"a"), (urls[1], b"instead")]
    counters = reader.counters.total()
    assert (counters.objects, counters.bytes, counters.skipped) == (2, 8, 0)


def test_the_wait_is_counted_over_failures(bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """Seconds that a consumer takes over an outcome count, whether it is a file or an error."""
    report = SharedCounters()

    def request_for(name: str) -> ObjectRequest:
        return ObjectRequest.parse(f"ais://{bucket.name}/{name}", ais_cluster.endpoint, Settings())

    for _ in prefetch(
        ["missing", "a", "missing"], request_for, ReadOptions(), report.of_this_process()
    ):
        time.sleep(0.05)
    assert report.total().consumer_s >= 3 * 0.05
    assert report.total().cluster_s > 0
