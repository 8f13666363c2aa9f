"""The test suite's own `FaultProxy` changes nothing by itself, and ends with its block."""

from __future__ import annotations

import random
import socket
import threading
import time
from urllib.parse import quote, urlsplit

import pytest
import requests
from aistore.sdk import Bucket, Client
from aistore.sdk.errors import ErrObjNotFound

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Latency
from support.faults import FaultProxy

HOSTILE = ["a b", "#?%&+=", "a%2Fb", "back\\slash", "ü/日本", "~tilde;,@:", "q" * 200]
DATA = random.Random(11).randbytes(300_000)


@pytest.fixture
def url(ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy) -> str:
    """The address, through the proxy, of an object that holds `DATA`."""
    put_object(ais_bucket, "data.bin", DATA)
    return f"{faults.endpoint}/v1/objects/{ais_bucket.name}/data.bin?provider=ais"


def batch_of(bucket: Bucket, names: list[str], endpoint: str) -> bytes:
    """Return the tar of a GetBatch for `names`."""
    batch = Client(endpoint).batch(names, bucket)
    return batch.get(raw=True).read()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", HOSTILE)
def test_objects_pass_unchanged(
    ais_bucket: Bucket, ais_cluster: LocalCluster, faults: FaultProxy, name: str
) -> None:
    """An object put and read through the proxy has its name, its bytes and its headers."""
    path = f"/v1/objects/{ais_bucket.name}/{quote(name)}?provider=ais"
    for size in (0, 1, len(DATA)):
        assert requests.put(faults.endpoint + path, data=DATA[:size], timeout=10).ok
        here, there = (
            requests.get(endpoint + path, timeout=10)
            for endpoint in (faults.endpoint, ais_cluster.endpoint)
        )
        assert here.content == there.content == DATA[:size]
        ours = {"Date", "Server", "Ais-Atime"}
        assert {k: v for k, v in here.headers.items() if k not in ours} == {
            k: v for k, v in there.headers.items() if k not in ours
        }


def test_ranges_and_heads_pass_unchanged(url: str) -> None:
    """A range is the range asked for, and a HEAD has the length and no body."""
    part = requests.get(url, headers={"Range": "bytes=1000-1999"}, timeout=10)
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    head = requests.head(url, allow_redirects=True, timeout=10)
    assert (head.headers["Content-Length"], head.content) == (str(len(DATA)), b"")


def test_listings_batches_and_errors_pass_unchanged(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, ais_cluster: LocalCluster
) -> None:
    """The SDK sees the same bucket through the proxy as without it."""
    for name in HOSTILE:
        put_object(ais_bucket, name, name.encode())
    bucket = Client(faults.endpoint).bucket(ais_bucket.name)
    assert [entry.name for entry in bucket.list_all_objects()] == sorted(HOSTILE)
    names = [*HOSTILE, "missing"]
    batches = [
        batch_of(ais_bucket, names, endpoint)
        for endpoint in (faults.endpoint, ais_cluster.endpoint)
    ]
    assert batches[0] == batches[1]
    assert all(f"/{name}".encode() in batches[0] for name in names)
    with pytest.raises(ErrObjNotFound, match="does not exist"):
        bucket.object("missing").get_reader().read_all()


def test_no_answer_goes_past_it(url: str, faults: FaultProxy, ais_cluster: LocalCluster) -> None:
    """Redirects and the cluster map lead to the proxy, which sees every request."""
    assert requests.get(url, timeout=10).ok
    assert [exchange.status for exchange in faults.requests] == [301, 200]
    assert faults.count("GET /v1/objects/.*[?&]pid=") == 1
    bucket = Client(faults.endpoint).bucket(urlsplit(url).path.split("/")[3])
    assert bucket.object("data.bin").get_reader(direct=True).read_all() == DATA
    assert faults.count("GET /v1/objects/") == 3
    smap = requests.get(f"{faults.endpoint}/v1/daemon?what=smap", timeout=10).text
    assert ais_cluster.endpoint not in smap
    assert faults.endpoint in smap


def leave_in_the_middle(endpoint: str) -> None:
    """Leave the block of a proxy by a `KeyError` while it owes an answer."""
    with FaultProxy(endpoint) as proxy, proxy.rule(Latency(60)):
        address = ("127.0.0.1", urlsplit(proxy.endpoint).port or 0)
        with socket.create_connection(address, timeout=10) as waiting:
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            while not proxy.requests:
                time.sleep(0.001)
            raise KeyError(proxy.endpoint)


def test_it_ends_with_its_block(ais_cluster: LocalCluster) -> None:
    """No thread and no port is left, also after an exception in the middle of an answer."""
    before = threading.active_count()
    with pytest.raises(KeyError) as caught:
        leave_in_the_middle(ais_cluster.endpoint)
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(caught.value.args[0], timeout=10)


def test_clients_that_do_not_read_do_not_hold_it(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """It ends at once, too, while it waits for a client to take the rest of a big body."""
    put_object(ais_bucket, "big", bytes(32 * 2**20))
    with FaultProxy(ais_cluster.endpoint) as proxy:
        url = f"{proxy.endpoint}/v1/objects/{ais_bucket.name}/big?provider=ais"
        unread = requests.get(url, stream=True, timeout=10)
        before = time.monotonic()
    assert time.monotonic() - before < 0.5
    with unread, pytest.raises(requests.RequestException, match="reset by peer"):
        assert unread.content
