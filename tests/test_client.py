"""The connection: endpoint, one client per process, retries and the table of errors."""

from __future__ import annotations

import inspect
import json
import logging
import multiprocessing
import pickle
import pkgutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import aistore.sdk
import pytest
import requests
import urllib3
from aistore.sdk import errors as sdk
from aistore.sdk.authn import errors as authn

from aisdatapipes import AISFileLister, Settings, errors
from aisdatapipes.client import client_for, resolve_endpoint
from aisdatapipes.translation import ERROR_TABLE, translate_error, translated_errors
from aisdatapipes.urls import parse_url

URL = parse_url("ais://imagenet/a/1.jpg")
ENDPOINT = "http://localhost:8080"

# Raised by calls that this package never makes: writing, jobs, ETL servers, user management.
NOT_RAISED_BY_READING = {
    sdk.ErrBckAlreadyExists,
    sdk.ErrETLAlreadyExists,
    sdk.ETLDirectPutTransientError,
    sdk.InvalidObjectRangeIndex,
    sdk.InvalidPipelineError,
    sdk.JobInfoNotFound,
    authn.ErrClusterAlreadyRegistered,
    authn.ErrClusterNotFound,
    authn.ErrRoleAlreadyExists,
    authn.ErrRoleNotFound,
    authn.ErrUserAlreadyExists,
    authn.ErrUserInvalidCredentials,
    authn.ErrUserNotFound,
}

# Parts of the SDK that need libraries of its own extras.
SDK_EXTRAS = {"aistore.sdk.etl.webserver"}


def sdk_modules() -> Iterator[str]:
    """Yield the names of the SDK's modules."""
    for module in pkgutil.walk_packages(aistore.sdk.__path__, "aistore.sdk."):
        if not any(module.name.startswith(extra) for extra in SDK_EXTRAS):
            yield module.name


def sdk_errors() -> set[type[Exception]]:
    """Return every exception class that the SDK defines."""
    return {
        value
        for module in sdk_modules()
        for value in vars(import_module(module)).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__.startswith("aistore.")
    }


def test_every_sdk_error_is_placed() -> None:
    """A new error of the SDK fails here until somebody decides what it becomes."""
    found = sdk_errors()
    assert found - ERROR_TABLE.keys() - NOT_RAISED_BY_READING == set()
    assert found >= NOT_RAISED_BY_READING, "an error left the SDK: take it out of the list"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "token required", errors.AuthenticationError),
        (403, "access denied", errors.AccessDeniedError),
        (404, 'bucket "az://imagenet" does not exist', errors.BucketNotFoundError),
        (404, "az://imagenet/a/1.jpg does not exist", errors.ObjectNotFoundError),
        (404, "something else is not there", errors.ClusterError),
        (404, "failed to lookup bucket az://imagenet, err: no", errors.RemoteBucketNotFoundError),
        (500, "disk fell out", errors.ClusterError),
    ],
)
def test_status_decides_where_the_sdk_does_not(
    status: int, message: str, kind: type[errors.AISPipeError]
) -> None:
    """A plain `AISError` becomes the class of its status, which is kept."""
    answer = sdk.AISError(status, json.dumps({"message": message}), "", requests.PreparedRequest())
    error = translate_error(answer, URL, ENDPOINT)
    assert type(error) is kind
    assert error.status_code == status


@pytest.mark.parametrize("kind", list(ERROR_TABLE))
def test_every_message_names_the_thing_and_the_cluster(kind: type[Exception]) -> None:
    """Whatever failed, the message holds the bucket and the endpoint."""
    error = kind.__new__(kind)
    text = str(translate_error(error, URL, ENDPOINT))
    assert ENDPOINT in text
    assert "ais://imagenet" in text or issubclass(ERROR_TABLE[kind], ConnectionError)


def test_unknown_errors_pass_unchanged() -> None:
    """A bug is not dressed up as an error of the cluster."""
    with pytest.raises(KeyError), translated_errors(URL, ENDPOINT):
        raise KeyError("a bug")


def test_our_errors_pass_unchanged() -> None:
    """An error that is ours already is not translated twice."""
    original = errors.InvalidURLError("no URL")
    with pytest.raises(errors.InvalidURLError) as caught, translated_errors(URL, ENDPOINT):
        raise original
    assert caught.value is original


def test_the_original_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The user sees one error; the chain behind it is in the log at level DEBUG."""
    caplog.set_level(logging.DEBUG, "aisdatapipes")
    with pytest.raises(errors.IncompleteReadError) as caught, translated_errors(URL, ENDPOINT):
        raise urllib3.exceptions.ProtocolError("cut")
    assert caught.value.__suppress_context__
    assert caplog.records[0].exc_info


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
def test_settings_refuse_nonsense(wrong: dict[str, int]) -> None:
    """A negative number, or a time-out of zero, is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (requests.ConnectionError(), 3),
        (requests.ReadTimeout(), 3),
        (sdk.ErrGETConflict(409, "", "", requests.PreparedRequest()), 3),
        (sdk.ErrObjNotFound(404, "", "", requests.PreparedRequest()), 1),
        (sdk.AISError(403, "", "", requests.PreparedRequest()), 1),
    ],
)
def test_only_what_may_pass_is_retried(error: Exception, attempts: int) -> None:
    """A missing object, which the SDK by default asks for again for a minute, is final."""
    made: list[Exception] = []

    def fail() -> None:
        made.append(error)
        raise error

    settings = Settings(max_retries=2, first_backoff_s=0, max_backoff_s=0)
    with pytest.raises(type(error)):
        client_for(ENDPOINT, settings).retry_config.network_retry(fail)
    assert len(made) == attempts
