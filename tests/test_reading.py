"""The reading engine on a real node: what it yields, how it asks, what it holds, when it ends."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Iterator

import pytest
from aistore.sdk import Bucket, Namespace

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.reading.options import OnError
from aisdatapipes.reading.streams import ObjectStream
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.bucket_properties import set_checksum

SIZES = [0, 1, 511, 512, 513, 3_000, 20_000]
BIG = 100_000
SMALL_WHOLE = Settings(whole_object_bytes=50_000, read_ahead_bytes=10_000, first_backoff_s=0.01)


def content(number: int) -> bytes:
    """Return what object `number` holds; every seventeenth is big."""
    size = BIG + number if number % 17 == 5 else SIZES[number % len(SIZES)]
    return random.Random(number).randbytes(size)


@pytest.fixture(scope="module")
def mixed(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[Bucket]:
    """A bucket of 120 objects, small and big ones mixed."""
    bucket = ais_cluster.client().bucket("mixed").create()
    for number in range(120):
        put_object(bucket, f"{number:03d}", content(number))
    yield bucket
    bucket.delete()


def urls_of(numbers: range) -> list[str]:
    """Return the URLs of these objects in ``mixed``."""
    return [f"ais://mixed/{number:03d}" for number in numbers]


def read(pipe: AISFileLoader) -> list[tuple[str, bytes]]:
    """Read everything."""
    return [(url, stream.read()) for url, stream in pipe]


EVERYTHING = list(zip(urls_of(range(120)), map(content, range(120)), strict=True))


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"settings": SMALL_WHOLE},
        {"settings": SMALL_WHOLE, "max_batch": 3},
        {"settings": SMALL_WHOLE, "max_inflight_bytes": 60_000},
        {"max_inflight_bytes": 1},
        {"max_batch": 1},
        {"max_batch": 1, "concurrency": 1},
        {"verify": "checksum"},
        {"verify": "checksum", "settings": SMALL_WHOLE},
    ],
    ids=str,
)
def test_all_objects_come_in_order(ais_cluster: LocalCluster, options: dict) -> None:
    """Small, big and empty objects come whole and in order, however they are read."""
    assert read(AISFileLoader(urls_of(range(120)), ais_cluster.endpoint, **options)) == EVERYTHING


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("options", [{"max_batch": 1}, {"settings": SMALL_WHOLE}], ids=str)
def test_unordered_loses_nothing(ais_cluster: LocalCluster, options: dict) -> None:
    """With ``ordered=False`` the same objects come, in any order."""
    pipe = AISFileLoader(urls_of(range(120)), ais_cluster.endpoint, ordered=False, **options)
    assert sorted(read(pipe)) == EVERYTHING


@pytest.mark.usefixtures("mixed")
def test_small_objects_share_requests(ais_cluster: LocalCluster) -> None:
    """A hundred objects take a few requests; one by one they take a hundred."""
    batches = AISFileLoader(urls_of(range(100)), ais_cluster.endpoint)
    assert len(read(batches)) == batches.counters().objects == 100
    assert batches.counters().requests <= 8
    singles = AISFileLoader(urls_of(range(100)), ais_cluster.endpoint, max_batch=1)
    read(singles)
    assert singles.counters().requests == 100


@pytest.mark.usefixtures("mixed")
def test_big_objects_are_streamed(ais_cluster: LocalCluster) -> None:
    """A big object inside a batch comes as a stream, its neighbours in memory."""
    pipe = AISFileLoader(urls_of(range(20)), ais_cluster.endpoint, settings=SMALL_WHOLE)
    kinds = {url[-3:]: type(stream.file_obj) for url, stream in pipe}
    assert [name for name, kind in kinds.items() if kind is ObjectStream] == ["005"]


def test_objects_of_a_namespace_are_read(ais_cluster: LocalCluster, put_object: PutObject) -> None:
    """GetBatch would look for them in the global namespace; they are read all the same."""
    client = ais_cluster.client()
    bucket = client.bucket("spaced", namespace=Namespace(name="team")).create()
    try:
        for number in range(10):
            put_object(bucket, f"{number}", b"%d" % number)
        lister = AISFileLister(["ais://#team/spaced"], ais_cluster.endpoint)
        assert read(AISFileLoader(lister, ais_cluster.endpoint)) == [
            (f"ais://#team/spaced/{number}", b"%d" % number) for number in range(10)
        ]
    finally:
        bucket.delete()


@pytest.mark.usefixtures("mixed")
def test_what_comes_before_an_error_of_the_source_is_read(ais_cluster: LocalCluster) -> None:
    """A source that breaks after reading ahead does not swallow the objects before."""

    def source() -> Iterator[str]:
        yield from urls_of(range(30))
        raise KeyError("the source broke")

    got = []
    pipe = AISFileLoader(source(), ais_cluster.endpoint)
    with pytest.raises(KeyError, match="the source broke"):
        got.extend(url for url, _ in pipe)
    assert got == urls_of(range(30))


@pytest.mark.usefixtures("mixed")
def test_reading_ahead_stops_at_the_budget(ais_cluster: LocalCluster) -> None:
    """A consumer that stalls stalls the reading: the source is not drained."""
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for _ in range(1000):
            for url in urls_of(range(6, 20)):
                taken += 1
                yield url

    iterator = iter(AISFileLoader(source(), ais_cluster.endpoint, max_inflight_bytes=200_000))
    for _ in range(50):
        next(iterator)
    time.sleep(0.3)
    assert taken < 50 + 2 * 200_000 / 3_000
    del iterator


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("options", [{}, {"max_batch": 1}, {"settings": SMALL_WHOLE}], ids=str)
def test_an_abandoned_iterator_ends_its_threads(ais_cluster: LocalCluster, options: dict) -> None:
    """A second after a loop is left, no thread of it is there."""
    before = threading.active_count()
    for _ in AISFileLoader(urls_of(range(120)) * 5, ais_cluster.endpoint, **options):
        break
    gc.collect()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.usefixtures("mixed")
def test_a_cluster_that_is_gone_is_not_skipped(unused_endpoint: str) -> None:
    """``on_error="skip"`` is about objects: an unreachable cluster raises, not an empty epoch."""
    pipe = AISFileLoader(
        urls_of(range(9)), unused_endpoint, on_error="skip", settings=Settings(max_retries=0)
    )
    with pytest.raises(errors.ClusterUnreachableError) as caught:
        read(pipe)
    assert unused_endpoint in caught.value.message


@pytest.mark.parametrize("wrong", ["max_inflight_bytes", "max_batch", "concurrency"])
def test_numbers_are_checked_at_construction(wrong: str) -> None:
    """Zero of anything is refused by name."""
    with pytest.raises(ValueError, match=f"{wrong} is 0"):
        AISFileLoader([], "localhost:1", **{wrong: 0})  # pyright: ignore[reportArgumentType]


def test_verify_is_checked_at_construction() -> None:
    """Another word, or an ETL whose results have no checksum, is refused."""
    with pytest.raises(ValueError, match="give 'checksum' or None"):
        AISFileLoader([], "localhost:1", verify="md5")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="give verify or an ETL"):
        AISFileLoader([], "localhost:1", etl_name="resize", verify="checksum")


@pytest.mark.parametrize("kind", ["crc32c", "none"])
@pytest.mark.parametrize("on_error", ["skip", lambda _url, _error: b"instead"])
def test_a_bucket_without_known_checksums_is_not_skipped(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    kind: str,
    on_error: OnError,
) -> None:
    """Nothing in it can be verified: that raises at once, whatever is done with bad objects."""
    set_checksum(ais_bucket, kind)
    urls = [f"ais://{ais_bucket.name}/{number}" for number in range(9)]
    for number in range(9):
        put_object(ais_bucket, f"{number}", b"content")
    pipe = AISFileLoader(urls, ais_cluster.endpoint, on_error=on_error, verify="checksum")
    with pytest.raises(errors.NoChecksumError, match=r"checksum of '0' in .*without verify"):
        read(pipe)
    assert pipe.skipped_urls() == []
    assert pipe.counters().retries == 0
    assert len(read(AISFileLoader(urls, ais_cluster.endpoint))) == 9


def test_objects_over_the_limit_are_not_asked_for_in_batches(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Once objects turn out too big for memory, each is asked for once, by its own GET."""
    for number in range(8):
        put_object(ais_bucket, f"{number}", bytes(60_000))
    pipe = AISFileLoader(
        [f"ais://{ais_bucket.name}/{number}" for number in range(8)],
        ais_cluster.endpoint,
        settings=SMALL_WHOLE,
    )
    assert [len(stream.read()) for _, stream in pipe] == [60_000] * 8
    # The first batch, and a GET for each.
    assert pipe.counters().requests <= 1 + 8
