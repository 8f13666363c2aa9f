"""Fixtures for the whole suite, beside those of the package's own pytest plugin."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from urllib.parse import quote, urlencode, urlsplit

import pytest
from aistore.sdk import Bucket

from aisdatapipes.testing import LocalCluster
from faults import FaultProxy
from tars import shard

PutObject = Callable[[Bucket, str, bytes], None]


@pytest.fixture(scope="session")
def put_object() -> PutObject:
    """Write an object by plain HTTP, past all code under test: bucket, name, content."""

    def put(bucket: Bucket, name: str, data: bytes) -> None:
        query = urlencode(bucket.qparam)
        path = f"/v1/objects/{bucket.name}/{quote(name)}?{query}"
        target = _put(urlsplit(bucket.client.base_url).netloc, path, b"", 307)
        address = urlsplit(target)
        _put(address.netloc, f"{address.path}?{address.query}", data, 200)

    return put


@pytest.fixture(scope="session")
def unused_endpoint() -> str:
    """The address of a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def faults(ais_cluster: LocalCluster) -> Iterator[FaultProxy]:
    """A proxy in front of the shared cluster, with no rules yet."""
    with FaultProxy(ais_cluster.endpoint) as proxy:
        yield proxy


def _put(address: str, path: str, data: bytes, expected: int) -> str:
    """Send one PUT; return where the answer leads."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("PUT", path, body=data)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == expected, answer
        return response.getheader("Location", "")
    finally:
        connection.close()


@pytest.fixture
def shard_urls(ais_bucket: Bucket, put_object: PutObject) -> list[str]:
    """The URLs of five shards of seven samples each, numbered through."""
    for number in range(5):
        put_object(ais_bucket, f"{number}.tar", shard(7 * number, 7))
    return [f"ais://{ais_bucket.name}/{number}.tar" for number in range(5)]
