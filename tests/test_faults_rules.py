"""Each rule of the test suite's `FaultProxy` does on the wire what it says."""

from __future__ import annotations

import random
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead, RemoteDisconnected
from io import BytesIO
from itertools import chain
from urllib.parse import urlsplit

import pytest
import requests
from aistore.sdk import Bucket, Client
from urllib3.exceptions import ProtocolError

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_edits import CorruptByte, DropEntry, EndEarly, SwapEntries
from support.fault_rules import Cut, EmptyPage, Latency, Refuse, Reset, Rule, Stall, Status
from support.faults import FaultProxy

DATA = random.Random(11).randbytes(300_000)


@pytest.fixture
def url(ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy) -> str:
    """The address, through the proxy, of an object that holds `DATA`."""
    put_object(ais_bucket, "data.bin", DATA)
    return f"{faults.endpoint}/v1/objects/{ais_bucket.name}/data.bin?provider=ais"


@contextmanager
def opened(url: str) -> Iterator[HTTPResponse]:
    """Ask for `url` and where it redirects to; nothing is retried, the body is unread."""
    address = urlsplit(url)
    with closing(HTTPConnection(address.netloc, timeout=10)) as connection:
        connection.request("GET", f"{address.path}?{address.query}")
        response = connection.getresponse()
        if location := response.getheader("Location"):
            with opened(location) as redirected:
                yield redirected
        else:
            yield response


def batch_of(bucket: Bucket, names: list[str], endpoint: str) -> bytes:
    """Return the tar of a GetBatch for `names`."""
    batch = Client(endpoint).batch(names, bucket)
    return batch.get(raw=True).read()  # pyright: ignore[reportAttributeAccessIssue]


def names_in(archive: bytes) -> list[str]:
    """Return the last parts of the members' names."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        return [name.rpartition("/")[2] for name in tar.getnames()]


def test_a_rule_strikes_as_often_as_it_says(url: str, faults: FaultProxy) -> None:
    """Twice is twice, None is always, a rule is for what it matches, and ends with its block."""
    with faults.rule(Status(503, times=2)) as twice:
        assert [requests.get(url, timeout=10).status_code for _ in range(3)] == [503, 503, 200]
        assert faults.hits(twice) == 2
    with faults.rule(Status(500, times=None, matches="GET .*[?&]pid=")) as always:
        assert [requests.get(url, timeout=10).status_code for _ in range(3)] == [500] * 3
        assert requests.head(url, allow_redirects=True, timeout=10).status_code == 200
        assert faults.hits(always) == 3
    assert requests.get(url, timeout=10).content == DATA


def test_rules_that_meet_all_strike(url: str, faults: FaultProxy) -> None:
    """Several rules for one request are applied one after another."""
    with faults.rule(CorruptByte(5)), faults.rule(CorruptByte(7)):
        content = requests.get(url, timeout=10).content
    assert [index for index in range(len(DATA)) if content[index] != DATA[index]] == [5, 7]


def test_latency(url: str, faults: FaultProxy) -> None:
    """The answer comes whole, and so much later."""
    before = time.monotonic()
    with faults.rule(Latency(0.3)), opened(url) as response:
        assert response.read() == DATA
    assert time.monotonic() - before >= 0.3


@pytest.mark.parametrize(
    ("rule", "error"),
    [(Refuse(), RemoteDisconnected), (Reset(), ConnectionResetError)],
    ids=repr,
)
def test_no_answer(url: str, faults: FaultProxy, rule: Rule, error: type[Exception]) -> None:
    """The connection is taken and then closed or reset, with no byte on it; the next one works."""
    with faults.rule(rule):
        with pytest.raises(error) as caught, opened(url):
            pass
        assert type(caught.value) is error
        with opened(url) as response:
            assert response.read() == DATA
    assert [exchange.status for exchange in faults.requests] == [0, 301, 200]


@pytest.mark.parametrize("after_bytes", [0, 1, 1000, len(DATA) - 1])
def test_a_cut_body(url: str, faults: FaultProxy, after_bytes: int) -> None:
    """Exactly so many bytes come, of those that were announced."""
    with faults.rule(Cut(after_bytes)), opened(url) as response:
        assert response.length == len(DATA)
        with pytest.raises(IncompleteRead) as caught:
            response.read()
    assert caught.value.partial == DATA[:after_bytes]


@pytest.mark.usefixtures("url")
def test_a_cut_batch(ais_bucket: Bucket, faults: FaultProxy, ais_cluster: LocalCluster) -> None:
    """A body in chunks ends without the last one, even if all its bytes have come."""
    size = len(batch_of(ais_bucket, ["data.bin"], ais_cluster.endpoint))
    for after_bytes in (1000, size):
        with faults.rule(Cut(after_bytes)) as cut, pytest.raises(ProtocolError):
            batch_of(ais_bucket, ["data.bin"], faults.endpoint)
        assert faults.hits(cut) == 1


def test_a_reset_body(url: str, faults: FaultProxy) -> None:
    """So many bytes come, and then a reset."""
    with (
        faults.rule(Reset(1000)),
        opened(url) as response,
        pytest.raises(ConnectionResetError),
    ):
        response.read()


def test_a_stalled_body(url: str, faults: FaultProxy) -> None:
    """So many bytes come at once, the rest later."""
    with faults.rule(Stall(1000, 0.3)), opened(url) as response:
        assert response.read(1000) == DATA[:1000]
        before = time.monotonic()
        assert response.read() == DATA[1000:]
    assert time.monotonic() - before >= 0.2


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DropEntry(1), "acd"),
        (DropEntry(-1), "abc"),
        (SwapEntries(0, 2), "cbad"),
        (EndEarly(2), "ab"),
        (EndEarly(0), ""),
        (CorruptByte(text=b"/bb"), "a"),  # tarfile takes a broken header for the end
        (EndEarly(4), "abcd"),
        (DropEntry(4), "abcd"),
    ],
    ids=repr,
)
def test_entries_of_a_batch(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, rule: Rule, expected: str
) -> None:
    """Entries go or change places with their long names; the rest of the archive is whole."""
    names = [200 * letter for letter in "abcd"]
    for name in names:
        put_object(ais_bucket, name, name.encode())
    with faults.rule(rule):
        archive = batch_of(ais_bucket, names, faults.endpoint)
    assert "".join(name[0] for name in names_in(archive)) == expected
    assert (faults.hits(rule) == 0) == (expected == "abcd")
    assert archive.endswith(bytes(1024))
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            assert content.read().decode() == member.name[-200:]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_empty_page(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, times: int
) -> None:
    """A page without names leads on to the one that was left out: nothing is lost."""
    names = [f"{number}" for number in range(10, 35)]
    for name in names:
        put_object(ais_bucket, name, b"")
    bucket = Client(faults.endpoint).bucket(ais_bucket.name)
    with faults.rule(EmptyPage(times=times)) as rule:
        pages, token, uuid = [], "", ""
        while token or not pages:
            page = bucket.list_objects(
                prefix="", page_size=10, continuation_token=token, uuid=uuid, start_after="11"
            )
            pages.append([entry.name for entry in page.entries])
            token, uuid = page.continuation_token, page.uuid
    assert list(chain(*pages)) == names[2:]
    assert pages.count([]) >= faults.hits(rule) == times
