"""The SDK's request client for workers and threads: whose session it is, and what it keeps."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import tenacity
import urllib3
from aistore.sdk import Bucket, Client
from aistore.sdk.retry_config import RetryConfig
from requests.adapters import HTTPAdapter
from torch.utils.data import DataLoader, Dataset

from aisdatapipes import WorkerRequestClient
from conftest import PutObject

COUNT = 30


class Reader(Dataset[tuple[bytes, int, int]]):
    """A user's dataset, which reads by the SDK and by two threads in every worker."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[bytes, int, int]:
        client = self.bucket.client
        assert isinstance(client, WorkerRequestClient)

        def read(_: int) -> tuple[bytes, int]:
            content = self.bucket.object(f"{index:02}").get_reader().read_all()
            assert isinstance(content, bytes)
            return content, id(client.session)

        with ThreadPoolExecutor(1) as thread:
            (first, session), (_, other) = read(0), thread.submit(read, 1).result()
        assert session != other
        return first, session, os.getpid()


@pytest.mark.parametrize(("workers", "start_method"), [(0, None), (2, "fork"), (2, "forkserver")])
def test_every_worker_and_thread_has_a_session(
    ais_bucket: Bucket, put_object: PutObject, workers: int, start_method: str | None
) -> None:
    """A session is used by one thread of one process, and by it all the time."""
    for number in range(COUNT):
        put_object(ais_bucket, f"{number:02}", b"%d" % number)
    ais_bucket.client = WorkerRequestClient(ais_bucket.client)
    loader = DataLoader(
        Reader(ais_bucket),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=start_method,
    )
    results = list(loader)
    assert [content for content, _, _ in results] == [b"%d" % number for number in range(COUNT)]
    sessions = {(pid, session) for _, session, pid in results}
    assert len(sessions) == len({pid for _, _, pid in results}) == max(workers, 1)


def test_sessions_of_threads_differ() -> None:
    """Each thread has the same session at every use, and no two the same one."""
    client = WorkerRequestClient(Client("http://localhost:1").bucket("b").client)
    barrier = threading.Barrier(8)

    def sessions(_: int) -> tuple[requests.Session, requests.Session]:
        barrier.wait()
        return client.session, client.session

    with ThreadPoolExecutor(8) as threads:
        pairs = list(threads.map(sessions, range(8)))
    assert all(first is second for first, second in pairs)
    assert len({id(first) for first, _ in pairs}) == 8


def demanding_client() -> Client:
    """Return a client in which nothing is as it is by default."""
    retries = RetryConfig(
        http_retry=urllib3.Retry(total=7, backoff_factor=0.5),
        network_retry=tenacity.Retrying(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.01),
            retry=tenacity.retry_if_exception_type(requests.ConnectionError),
            reraise=True,
        ),
    )
    return Client(
        "https://127.0.0.1:1/",
        ca_cert="/etc/hosts",
        client_cert=("a.crt", "a.key"),
        timeout=(1.5, 7),
        retry_config=retries,
        token="a token",
        max_pool_size=3,
    )


@pytest.mark.parametrize("is_pickled", [False, True])
def test_what_the_client_has_is_kept(is_pickled: bool) -> None:
    """Address, token, TLS, time-outs and retries are those of the given client."""
    bucket = demanding_client().bucket("b")
    client = WorkerRequestClient(bucket.client)
    if is_pickled:
        client = pickle.loads(pickle.dumps(client))
    assert (client.base_url, client.token, client.timeout) == (
        "https://127.0.0.1:1/v1",
        "a token",
        (1.5, 7),
    )
    session = client.session
    assert (session.verify, session.cert) == ("/etc/hosts", ("a.crt", "a.key"))
    adapter = session.adapters["https://"]
    assert isinstance(adapter, HTTPAdapter)
    assert (adapter.max_retries.total, adapter.max_retries.backoff_factor) == (7, 0.5)
    assert adapter._pool_maxsize == 3  # pyright: ignore[reportAttributeAccessIssue]
    assert client.clone().session_manager is client.session_manager


@pytest.mark.parametrize("is_pickled", [False, True])
def test_it_retries_as_often_as_was_set(unused_endpoint: str, is_pickled: bool) -> None:
    """Where nobody listens, two attempts were asked for, and two are made."""
    attempts = []
    retries = RetryConfig(
        http_retry=urllib3.Retry(total=0, backoff_factor=0),
        network_retry=tenacity.Retrying(
            stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none(), reraise=True
        ),
    )
    client = WorkerRequestClient(
        Client(f"{unused_endpoint}/", retry_config=retries).bucket("b").client
    )
    if is_pickled:
        client = pickle.loads(pickle.dumps(client))
    send = client.session.send

    def counted(*args: object, **kwargs: object) -> object:
        attempts.append(args)
        return send(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    client.session.send = counted  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(requests.ConnectionError):
        client.request("GET", "daemon")
    assert len(attempts) == 2
