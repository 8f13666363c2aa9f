"""Reading over a bad network: what comes out is complete and equal, or the right error.

Every object is listed or loaded through a `FaultProxy`, and every test asserts that its rule
has struck.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISFileLister, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_edits import CorruptByte, DropEntry, EndEarly, SwapEntries
from support.fault_rules import Cut, Drip, EmptyPage, Latency, Refuse, Reset, Rule, Stall, Status
from support.faults import FaultProxy

SMALL = Settings(max_retries=2, first_backoff_s=0.005, max_backoff_s=0.02, read_timeout_s=0.4)
STREAMED = replace(SMALL, whole_object_bytes=0, read_ahead_bytes=1000)

READS = r"GET /v1/(objects|ml/moss)\b"
BATCHES = "GET /v1/ml/moss"
PAGES = "GET /v1/buckets/"
AT_TARGET = rf"{READS}.*[?&]pid="
FOREVER_S = 60

# More than the first batch of the engine; some with names that need a tar header of their own.
NAMES = [*(f"{number:02d}" for number in range(20)), "a b#?%", "c/ü", "d/" + "q" * 200, "e"]


def content_of(name: str) -> bytes:
    """Return what the object of this name holds: 1,500 to 6,000 bytes."""
    rng = random.Random(name)
    return rng.randbytes(rng.randrange(1500, 6000))


@pytest.fixture(scope="module")
def bucket_url(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[str]:
    """The URL of a bucket with all of `NAMES`."""
    bucket = ais_cluster.client().bucket("faults-reading").create()
    for name in NAMES:
        put_object(bucket, name, content_of(name))
    yield f"ais://{bucket.name}/"
    bucket.delete()


def load(
    bucket_url: str, faults: FaultProxy, settings: Settings, **options: Any
) -> list[tuple[str, bytes]]:
    """Load `NAMES` through the proxy; return names and contents as they come."""
    urls = IterableWrapper([bucket_url + name for name in NAMES])
    pipe = urls.load_files_by_ais(url=faults.endpoint, settings=settings, **options)
    return [(url.removeprefix(bucket_url), stream.read()) for url, stream in pipe]


EXPECTED = [(name, content_of(name)) for name in NAMES]


@pytest.mark.parametrize("settings", [SMALL, STREAMED], ids=["small", "streamed"])
@pytest.mark.parametrize(
    "rule",
    [
        Latency(0.1, times=3, matches=READS),
        Latency(FOREVER_S, matches=READS),
        Latency(FOREVER_S, matches=AT_TARGET),
        Status(503, times=2, matches=READS),
        Status(500, matches=AT_TARGET),
        Status(429, matches=AT_TARGET),
        Refuse(times=2, matches=READS),
        Refuse(matches=AT_TARGET),
        Reset(times=2, matches=READS),
        Reset(matches=AT_TARGET),
        Reset(0, matches=READS),
        Reset(700, times=2, matches=READS),
        Cut(0, matches=READS),
        Cut(700, times=2, matches=READS),
        Stall(700, 0.1, times=3, matches=READS),
        Stall(700, FOREVER_S, matches=READS),
    ],
    ids=repr,
)
def test_loading_survives(
    bucket_url: str, faults: FaultProxy, rule: Rule, settings: Settings
) -> None:
    """A fault that passes costs time, no object, no byte and not their order."""
    with faults.rule(rule):
        assert load(bucket_url, faults, settings) == EXPECTED
    assert faults.hits(rule) == rule.times


@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize(
    "rule",
    [
        *(DropEntry(index) for index in (0, 3, -1)),
        *(SwapEntries(first, second) for first, second in [(0, 1), (3, -1)]),
        *(EndEarly(entries) for entries in (0, 1, 5)),
        CorruptByte(text=b"faults-reading/01", offset=16, matches=BATCHES),  # a name
        CorruptByte(text=b"path=", offset=6, matches=BATCHES),  # a long name
        CorruptByte(text=b"faults-reading/03", offset=124, matches=BATCHES),  # a size
        *(Cut(position, matches=BATCHES) for position in (100, 512, 600, 9000)),
        *(Reset(position, matches=BATCHES) for position in (600, 9000)),
        Status(500, matches=BATCHES),
        Status(501, matches=BATCHES),
        Status(404, matches=BATCHES),
        Refuse(matches=BATCHES),
    ],
    ids=repr,
)
def test_a_broken_batch_loses_nothing(
    bucket_url: str, faults: FaultProxy, rule: Rule, times: int | None
) -> None:
    """Entries that are missing, misplaced, misnamed or cut are read again, now and always."""
    with faults.rule(replace(rule, times=times)) as batches_break:
        assert load(bucket_url, faults, SMALL) == EXPECTED
    assert faults.hits(batches_break) >= 1


@pytest.mark.parametrize("extra_bytes", [-512, -1, 0, 1, 512, 1024])
def test_a_batch_cut_at_its_end_loses_nothing(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, extra_bytes: int
) -> None:
    """A batch without all of its end, or without the last chunk after it, gives its objects.

    The two entries are as much as the engine reads at a time, so that the end comes by itself.
    """
    half = 2**17 - 512
    contents = [letter * half for letter in (b"a", b"b", b"c", b"d")]
    for content in contents:
        put_object(ais_bucket, content[:1].decode(), content)
    urls = IterableWrapper([f"ais://{ais_bucket.name}/{letter}" for letter in "abcd"])
    settings = replace(SMALL, read_timeout_s=20)  # a batch that is late would be the last one
    pipe = urls.load_files_by_ais(url=faults.endpoint, settings=settings, max_batch=2)
    with faults.rule(Cut(2**18 + extra_bytes, matches=BATCHES)) as cut:
        assert [stream.read() for _, stream in pipe] == contents
    assert faults.hits(cut) == 1


@pytest.mark.parametrize("settings", [SMALL, STREAMED], ids=["small", "streamed"])
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Status(503), errors.ClusterError),
        (Status(401), errors.AuthenticationError),
        (Status(403), errors.AccessDeniedError),
        (Refuse(), errors.ClusterUnreachableError),
        (Reset(), errors.ClusterUnreachableError),
        (Latency(FOREVER_S), errors.ClusterTimeoutError),
        (Cut(0), errors.IncompleteReadError),
        (Reset(0), errors.IncompleteReadError),
        (Stall(0, FOREVER_S), errors.ClusterTimeoutError),
    ],
    ids=repr,
)
def test_loading_that_cannot_work(
    bucket_url: str,
    faults: FaultProxy,
    rule: Rule,
    error: type[errors.AISPipeError],
    settings: Settings,
) -> None:
    """A fault that stays is the error for it, which names the endpoint."""
    with (
        faults.rule(replace(rule, times=None, matches=READS)),
        pytest.raises(error) as caught,
    ):
        load(bucket_url, faults, replace(settings, max_retries=1))
    assert type(caught.value) is error
    assert faults.endpoint in caught.value.message  # torch adds the pipe's to the text


@pytest.mark.parametrize(
    "rule",
    [
        Latency(0.1, times=3),
        Latency(FOREVER_S),
        Status(503, times=2),
        Refuse(times=2),
        Reset(times=2),
        Reset(20, times=2),
        Cut(0),
        Cut(20, times=2),
        Stall(20, FOREVER_S),
        EmptyPage(),
        EmptyPage(times=3),
    ],
    ids=repr,
)
def test_listing_survives(bucket_url: str, faults: FaultProxy, rule: Rule) -> None:
    """A fault that passes costs no name; an empty page in the middle is not the end."""
    settings = replace(SMALL, page_size=7)
    with faults.rule(replace(rule, matches=PAGES)) as rule_for_pages:
        urls = list(AISFileLister([bucket_url], url=faults.endpoint, settings=settings))
    assert urls == [bucket_url + name for name in sorted(NAMES)]
    assert faults.hits(rule_for_pages) == rule.times


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Status(503), errors.ClusterError),
        (Refuse(), errors.ClusterUnreachableError),
        (Latency(FOREVER_S), errors.ClusterTimeoutError),
        (Cut(20), errors.IncompleteReadError),
    ],
    ids=repr,
)
def test_listing_that_cannot_work(
    bucket_url: str, faults: FaultProxy, rule: Rule, error: type[errors.AISPipeError]
) -> None:
    """A fault that stays is an error that names the endpoint, never a shorter listing."""
    settings = replace(SMALL, max_retries=1)
    with (
        faults.rule(replace(rule, times=None, matches=PAGES)),
        pytest.raises(error) as caught,
    ):
        list(AISFileLister([bucket_url], url=faults.endpoint, settings=settings))
    assert type(caught.value) is error
    assert faults.endpoint in caught.value.message  # torch adds the pipe's to the text


def test_a_batch_in_drops_is_left_for_its_objects(bucket_url: str, faults: FaultProxy) -> None:
    """Never silent, and too slow all the same: what has come is kept, and the rest goes alone."""
    with faults.rule(Drip(drop_bytes=900, seconds=0.35, times=None, matches=BATCHES)):
        loaded = load(bucket_url, faults, replace(SMALL, read_timeout_s=5))
    assert loaded == EXPECTED
    assert 0 < faults.count("GET /v1/objects/.*[?&]pid=") < len(NAMES) - 2
