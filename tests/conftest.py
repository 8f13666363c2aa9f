"""Fixtures for the whole suite, beside those of the package's own pytest plugin."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.util
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from urllib.parse import quote, urlencode, urlsplit

import pytest
from aistore.sdk import Bucket
from aistore.sdk.authn import AuthNClient
from aistore.sdk.authn.access_attr import AccessAttr

from aisdatapipes.testing import AuthnServer, LocalCluster
from support.etls import cluster_with_etls
from support.faults import FaultProxy
from support.loaders import end_workers
from support.tars import shard

# Chosen now: under the TMPDIR of some test its sockets' paths could be longer than allowed.
multiprocessing.util.get_temp_dir()
# Else each of its children imports torch anew, for two seconds or so of a core.
multiprocessing.set_forkserver_preload(["torch.distributed", "torch.utils.data", "aisdatapipes"])

PutObject = Callable[[Bucket, str, bytes], None]

KEPT = [f"{number:02d}" for number in range(12)]
"""The objects in the buckets of `authn_cluster`; each holds its own name."""


def pytest_collection_finish() -> None:
    """Leave what is imported to no garbage collection: in every fork it would copy the memory."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let no test wait for the workers of loaders that another one has left."""
    try:
        return (yield)
    finally:
        end_workers()


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


@pytest.fixture(scope="session")
def etl_cluster() -> Iterator[LocalCluster]:
    """A cluster of two targets that run ETLs."""
    with cluster_with_etls(2) as (cluster, _):
        yield cluster


@pytest.fixture
def no_token_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token comes from the environment of this run."""
    for name in ("AIS_AUTHN_TOKEN", "AIS_AUTHN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authn() -> Iterator[AuthnServer]:
    """A token server."""
    with AuthnServer() as server:
        yield server


@pytest.fixture(scope="module")
def authn_cluster(authn: AuthnServer) -> Iterator[LocalCluster]:
    """A cluster that wants tokens, with the buckets ``open`` and ``closed``."""
    with LocalCluster(auth_secret=authn.secret) as cluster:
        for name in ("open", "closed"):
            bucket = cluster.client().bucket(name).create()
            for key in KEPT:
                bucket.object(key).get_writer().put_content(key.encode())
        yield cluster


@pytest.fixture(scope="module")
def token(authn: AuthnServer, authn_cluster: LocalCluster) -> str:
    """A reader's token: it lists and reads ``open``, and nothing else."""
    admin = authn.client()
    admin.cluster_manager().register("mine", [authn_cluster.endpoint])
    rights = [AccessAttr.GET, AccessAttr.OBJ_LIST, AccessAttr.OBJ_HEAD]
    admin.role_manager().create("reader", "reads one bucket", "mine", rights, "open")
    admin.user_manager().create("ann", ["reader"], "a password")
    return AuthNClient(authn.endpoint).login("ann", "a password")


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
