"""One shard: wherever its reading stops, the rest comes once, in the same order."""

from __future__ import annotations

import gzip
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain, islice

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings, errors
from aisdatapipes.checkpoint.state import ShardProgress
from aisdatapipes.manifests.manifest import ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters, SharedCounters, counting
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy
from aisdatapipes.reading.prefetcher import Outcome
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object
from aisdatapipes.shards.shard_reading import ShardReading
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.bucket_properties import set_checksum
from support.tars import contents, member, pack

COUNT = 40
STREAMED = Settings(whole_object_bytes=10_000)


def archive(
    first: int, count: int, tar_format: int = tarfile.USTAR_FORMAT, **header: object
) -> bytes:
    """Return a tar of samples of different sizes, with members of no sample between them."""
    members = []
    for number in range(first, first + count):
        members += [member("README")] if number % 7 == 3 else []
        members += [
            member(f"{number}.jpg", b"x" * (1 + 700 * (number % 5)), **header),
            member(f"{number}.cls", b"%d" % number, **header),
        ]
    return pack(members, tar_format)


def with_global_header(content: bytes) -> bytes:
    """Return the tar with a pax global header at its beginning, as ``git archive`` writes."""
    record = b"17 comment=abcde\n"
    info = tarfile.TarInfo("pax_global_header")
    info.type, info.size = tarfile.XGLTYPE, len(record)
    return info.tobuf() + record.ljust(512, b"\0") + content


PLAIN = archive(0, COUNT)
SHARDS = {
    "plain": PLAIN,
    "pax": archive(0, COUNT, tarfile.PAX_FORMAT, pax_headers={"mtime": "1.5"}),
    "gzip": gzip.compress(PLAIN),
    "global header": with_global_header(PLAIN),
    "concatenated": archive(0, 15) + archive(15, 25),
    "concatenated, global first": with_global_header(archive(0, 15)) + archive(15, 25),
}


class Shard:
    """A shard in the cluster, and what reads it."""

    def __init__(self, bucket: Bucket, endpoint: str, settings: Settings = STREAMED) -> None:
        self.counters = SharedCounters()
        self.url = f"ais://{bucket.name}/0.tar"
        self._request = ObjectRequest.parse(self.url, endpoint, settings)
        self._size = bucket.object("0.tar").head().size
        self._reading: ShardReading | None = None

    def open(self, start: ShardProgress) -> Outcome:
        """Return the shard, open where it is to be resumed."""
        request = replace(self._request, begin=start.offset or 0)
        try:
            with counting(self.counters.of_this_process()):
                return Outcome(0, open_object(request))
        except errors.AISPipeError as error:
            return Outcome(0, None, error)

    def keys(
        self, key: str | None, size: int, start: ShardProgress, outcome: Outcome | None = None
    ) -> Iterator[str]:
        """Return the keys of the samples that are left."""
        counters: ProcessCounters = self.counters.of_this_process()
        handler = ErrorHandler(ErrorPolicy(), counters)
        entry = ManifestEntry(self.url, "0.tar", self._size)
        self._reading = ShardReading(
            entry,
            self._request,
            self._request.settings,
            handler.content_for,
            counters,
            start,
            key,
            size,
        )
        return self._checked(self._reading, outcome or self.open(start))

    @staticmethod
    def _checked(reading: ShardReading, outcome: Outcome) -> Iterator[str]:
        for sample in reading.samples(outcome):
            assert sample.files["cls"] == sample.key.encode()
            yield sample.key

    def progress(self) -> ShardProgress:
        """Return how far the latest reading is, as it comes out of JSON."""
        assert self._reading
        state = json.loads(json.dumps(asdict(self._reading.progress())))
        return ShardProgress(**{**state, "buffered": tuple(state["buffered"])})


@pytest.mark.parametrize("kind", SHARDS)
def test_stops_change_nothing(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, kind: str
) -> None:
    """With any stops the samples come as without: each once, in the same order."""
    put_object(ais_bucket, "0.tar", SHARDS[kind])
    shard, draw = Shard(ais_bucket, ais_cluster.endpoint), random.Random(kind)
    for number in range(12):
        key, size = draw.choice([None, "a", "b"]), draw.choice([1, 3, 8, 50])
        stops = [draw.randrange(COUNT // 2) for _ in range(draw.randrange(4))]
        expected = list(shard.keys(key, size, ShardProgress()))
        assert sorted(expected, key=int) == [str(number) for number in range(COUNT)]
        assert key or expected == sorted(expected, key=int)
        found: list[str] = []
        start = ShardProgress()
        for stop in stops:
            found += islice(shard.keys(key, size, start), stop)
            start = shard.progress()
        found += shard.keys(key, size, start)
        assert found == expected, f"case {number}: key {key!r}, buffer {size}, stops {stops}"


@pytest.mark.parametrize("most", [60, 3_000])
def test_a_big_buffer_has_a_small_state_and_few_requests(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, most: int
) -> None:
    """Of 10,000 samples in a buffer of 8192: 10 KB, and three requests at most for 8 MiB."""
    draw = random.Random(most)
    names = [str(number) for number in range(10_000)]
    members = [member(f"{name}.cls", name.encode()) for name in names]
    fillers = [member(f"{name}.jpg", bytes(1 + draw.randrange(most))) for name in names]
    content = pack(list(chain.from_iterable(zip(members, fillers, strict=True))))
    put_object(ais_bucket, "0.tar", content)
    whole = Shard(ais_bucket, ais_cluster.endpoint, Settings())
    expected = list(whole.keys("key", 8192, ShardProgress()))
    assert sorted(expected) == sorted(names)
    for stop in (1, 1_500, 6_000, 9_990):
        head = list(islice(whole.keys("key", 8192, ShardProgress()), stop))
        start = whole.progress()
        assert len(json.dumps(asdict(start))) < 10_000
        resumed = Shard(ais_bucket, ais_cluster.endpoint, Settings())
        assert head + list(resumed.keys("key", 8192, start)) == expected
        counters = resumed.counters.total()
        # One that opens it; then, for each 8 MiB, the first range, a batch, and the last range.
        assert 2 <= counters.requests <= 1 + 3 * -(-len(content) // 2**23)
        assert counters.retries == 0


@pytest.mark.parametrize("size", [1, 8], ids=["two at a time", "buffer of 8"])
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("is_open_before", [False, True])
def test_another_shard_of_the_same_size(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    is_open_before: bool,
    is_streamed: bool,
    size: int,
) -> None:
    """Replaced after a stop, or after it was opened again: an error that says so, at once."""
    put_object(ais_bucket, "0.tar", PLAIN)
    settings = STREAMED if is_streamed else Settings()
    shard = Shard(ais_bucket, ais_cluster.endpoint, settings)
    head = list(islice(shard.keys("key", size, ShardProgress()), 20))
    assert len(head) == 20
    start = shard.progress()
    outcome = shard.open(start) if is_open_before else None
    put_object(ais_bucket, "0.tar", PLAIN.replace(b".jpg", b".JPG"))
    with pytest.raises(errors.ObjectChangedError):
        list(shard.keys("key", size, start, outcome))


def test_another_shard_in_a_bucket_without_checksums(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Samples that do not begin where they began tell that it is another one, and nothing else."""
    set_checksum(ais_bucket, "none", versioned=False)
    others = pack([member("0.jpg", b"x" * 300), *(member(*file) for file in contents(PLAIN))])[
        : len(PLAIN)
    ]
    garbage = random.Random(1).randbytes(len(PLAIN))
    for other in (others, garbage):
        put_object(ais_bucket, "0.tar", PLAIN)
        shard = Shard(ais_bucket, ais_cluster.endpoint)
        assert len(list(islice(shard.keys("key", 8, ShardProgress()), 20))) == 20
        start = shard.progress()
        put_object(ais_bucket, "0.tar", other)
        with pytest.raises(errors.ObjectChangedError, match=r"0\.tar has other samples than"):
            list(shard.keys("key", 8, start))


def test_a_shard_is_known_by_its_checksum(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """In its own order, and compressed, too: one byte that is another is another shard."""
    for content in (PLAIN, gzip.compress(PLAIN)):
        put_object(ais_bucket, "0.tar", content)
        shard = Shard(ais_bucket, ais_cluster.endpoint)
        assert len(list(islice(shard.keys(None, 1, ShardProgress()), 20))) == 20
        start = shard.progress()
        put_object(ais_bucket, "0.tar", content)  # the same again is no other one
        assert list(shard.keys(None, 1, start)) == [str(number) for number in range(20, COUNT)]
        put_object(ais_bucket, "0.tar", content[:-1] + b"x")
        with pytest.raises(errors.ObjectChangedError, match=r"0\.tar was replaced since"):
            list(shard.keys(None, 1, start))


def test_a_shard_that_is_shorter_now(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """It ends before the byte where it would be resumed: it was replaced."""
    put_object(ais_bucket, "0.tar", PLAIN)
    shard = Shard(ais_bucket, ais_cluster.endpoint)
    assert len(list(islice(shard.keys(None, 1, ShardProgress()), 20))) == 20
    start = shard.progress()
    put_object(ais_bucket, "0.tar", archive(0, 5))
    with pytest.raises(errors.ObjectChangedError, match=r"0\.tar was replaced since"):
        list(shard.keys(None, 1, start))
