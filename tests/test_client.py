"""The connection: endpoint, one client per process, and retries."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aisdatapipes import AISFileLister, Settings, errors
from aisdatapipes.client.connection import client_for, resolve_endpoint

ENDPOINT = "http://localhost:8080"


def test_endpoint_comes_from_the_argument_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The argument goes before ``$AIS_ENDPOINT``; without both the error says what to do."""
    monkeypatch.setenv("AIS_ENDPOINT", "elsewhere:1")
    assert resolve_endpoint("localhost:8080") == "http://localhost:8080"
    assert resolve_endpoint(None) == "http://elsewhere:1"
    monkeypatch.delenv("AIS_ENDPOINT")
    with pytest.raises(errors.EndpointError, match="set AIS_ENDPOINT"):
        resolve_endpoint(None)


def _clients_are_one(endpoint: str, inherited: int | None) -> bool:
    client = client_for(endpoint, Settings())
    return client is client_for(endpoint, Settings()) and id(client) != inherited


def test_one_client_per_process_and_settings() -> None:
    """A process makes one client for the same endpoint and settings, and another otherwise."""
    client = client_for(ENDPOINT, Settings())
    assert client_for(ENDPOINT, Settings()) is client
    assert client_for(ENDPOINT, Settings(max_retries=7)) is not client
    assert client_for("http://localhost:8081", Settings()) is not client


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_makes_its_own_client() -> None:
    """A client's sockets are not shared with a forked child."""
    client = client_for(ENDPOINT, Settings())
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_clients_are_one, (ENDPOINT, id(client)))


def test_no_cluster_is_reported_in_seconds(unused_endpoint: str) -> None:
    """A refused connection names the endpoint, by default after some short retries only."""
    with pytest.raises(errors.ClusterUnreachableError, match="Connection refused") as caught:
        list(AISFileLister(["ais://b"], url=unused_endpoint))
    assert unused_endpoint in caught.value.message  # torch adds the pipe, and so its url, to str()


def test_a_silent_server_is_reported_in_seconds() -> None:
    """A server that accepts and says nothing is given up after the read time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lister = AISFileLister(
            ["ais://b"], url=endpoint, settings=Settings(read_timeout_s=0.2, max_retries=1)
        )
        with pytest.raises(errors.ClusterTimeoutError) as caught:
            list(lister)
        assert endpoint in caught.value.message


def test_another_http_server_is_reported() -> None:
    """An answer that is no AIStore's says so instead of showing an empty message."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(errors.ClusterError, match="no message of an AIStore cluster"):
                list(AISFileLister(["ais://b"], url=endpoint, settings=Settings(max_retries=0)))
        finally:
            server.shutdown()


def test_an_endpoint_may_have_a_path() -> None:
    """A cluster behind a gateway's path is asked there; the SDK alone would drop the path."""
    client = client_for("http://localhost:8080/ais", Settings())
    assert client.bucket("b").client.base_url == "http://localhost:8080/ais/v1"


def test_settings_are_plain_and_pickle() -> None:
    """What a spawned worker gets is equal to what the user set."""
    settings = Settings(max_retries=9, read_timeout_s=1.5)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert repr(settings) == "Settings(read_timeout_s=1.5, max_retries=9)"


@pytest.mark.parametrize("wrong", [{"max_retries": -1}, {"read_timeout_s": 0}])
def test_settings_refuse_nonsense(wrong: dict[str, Any]) -> None:
    """A negative number, or a time-out of zero, is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)
