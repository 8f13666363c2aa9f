"""The connection to a cluster: its address, and one SDK client per process.

Pipes and datasets hold an endpoint and `Settings`, both plain data. The client comes from
`client_for` at the moment it is needed, so that every process, forked or spawned, makes its
own and none inherits another's sockets.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from aistore.sdk import Bucket, Client, Namespace, Object
from aistore.sdk import errors as sdk
from aistore.sdk.obj.object_props import ObjectProps
from aistore.sdk.retry_config import RetryConfig
from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from aisdatapipes import errors
from aisdatapipes.client.attempts import Attempts
from aisdatapipes.client.auth import TokenAuth
from aisdatapipes.client.knowledge import Endpoint, remember_cluster
from aisdatapipes.client.patience import Patience
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.transport import use_session
from aisdatapipes.client.verdicts import is_cold_read
from aisdatapipes.metrics.counters import increment
from aisdatapipes.processes.background import pause
from aisdatapipes.processes.orphans import end_with_parent
from aisdatapipes.processes.per_process import PerProcess
from aisdatapipes.types import Provider
from aisdatapipes.urls import ParsedURL, is_utf8, parse_endpoint

_logger = logging.getLogger(__name__)


def resolve_endpoint(url: str | None) -> Endpoint:
    """Return the address of the cluster: `url`, else ``$AIS_ENDPOINT``.

    Args:
        url: The address; or those of several proxies with commas between them, of which the first
            is returned, and the others take over where it does not answer.

    Raises:
        EndpointError: Neither is given, or it is no address of an HTTP server.
    """
    url = url or os.environ.get("AIS_ENDPOINT")
    if not url:
        raise errors.EndpointError(
            "no AIStore endpoint: pass url='http://host:port' or set AIS_ENDPOINT"
        )
    # A proxy's address has no comma; one that is pickled knows the others.
    first, *others = map(parse_endpoint, url.split(",")) if "," in url else [parse_endpoint(url)]
    remember_cluster(first, others=tuple(others))
    return Endpoint(first)


_TLS_VARIABLES = (
    "AIS_CLIENT_CA",
    "AIS_CRT",
    "AIS_CRT_KEY",
    "AIS_SKIP_VERIFY",
    "AIS_SKIP_VERIFY_CRT",
)

_clients: PerProcess[dict[tuple[object, ...], Client]] = PerProcess(dict)
_making: PerProcess[threading.Lock] = PerProcess(threading.Lock)


def client_for(endpoint: str, settings: Settings) -> Client:
    """Return this process's SDK client for `endpoint`, made at the first call.

    Threads share it; a forked child starts with none.
    """
    is_tls = endpoint.startswith("https:")
    # Whoever is told to set one, and does, must get another client.
    variables = [os.environ.get(name) for name in _TLS_VARIABLES] if is_tls else []
    key = (endpoint, settings, *variables)
    clients = _clients.get()
    with _making.get():
        if key not in clients:
            clients[key] = _make_client(endpoint, settings)
        return clients[key]


def _make_client(endpoint: str, settings: Settings) -> Client:
    end_with_parent()
    with warnings.catch_warnings():
        # The SDK warns of each client that verifies nothing; we do it once, and name the cluster.
        warnings.filterwarnings("ignore", "Skipping SSL certificate verification", UserWarning)
        client = Client(
            f"{endpoint}/",  # else the SDK drops the last part of an address with a path
            skip_verify=settings.skip_verify,
            ca_cert=os.fspath(settings.ca_cert) if settings.ca_cert else None,  # pyright: ignore[reportArgumentType]
            client_cert=_as_texts(settings.client_cert),  # pyright: ignore[reportArgumentType]
            timeout=(settings.connect_timeout_s, settings.read_timeout_s),
            retry_config=_retry_config(settings),
        )
    requester = client.bucket("any").client
    requester.token = ""  # the SDK's would be the same as long as the client lives
    session = use_session(requester, TokenAuth(settings), endpoint, settings)
    is_tls = endpoint.startswith("https:")
    if is_tls:
        _check_files(session.verify, *(session.cert or ()))
    if is_tls and not session.verify:
        # As the SDK does: urllib3's own warning comes with every connection.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        _warn_of(endpoint)
    return client


def suspect_outage(endpoint: str, settings: Settings, since: float) -> None:
    """Take note that nothing came from the cluster since then; an outage counts from there on.

    Args:
        endpoint: Address of the cluster.
        settings: Those of the client.
        since: As `time.monotonic` counts.
    """
    _patience_of(client_for(endpoint, settings)).outage.suspect(since)


def attempts_for(
    endpoint: str, settings: Settings, pause: Callable[[float], object] = pause
) -> Attempts:
    """Begin with the attempts to do something at `endpoint` that takes several requests.

    Args:
        endpoint: Address of the cluster.
        settings: How often, and for how long.
        pause: How to wait, for so many seconds.
    """
    return Attempts(_patience_of(client_for(endpoint, settings)), pause)


def attempts_of(bucket: Bucket) -> Attempts | None:
    """Begin with the attempts to list a bucket of AIStore's own.

    None where another cluster, or a cloud, has the names, and where the bucket is on a client
    that was made elsewhere.
    """
    session: Any = bucket.client.session_manager.session
    patience: Patience | None = getattr(session, "patience", None)
    is_own = bucket.provider is Provider.AIS and not (bucket.namespace and bucket.namespace.uuid)
    if patience is None or not patience.settings.outage_deadline_s:
        return None
    return Attempts(patience) if is_own else None


def _patience_of(client: Client) -> Patience:
    session: Any = client.bucket("any").client.session_manager.session
    return session.patience


def _as_texts(paths: tuple[Any, Any] | None) -> tuple[str, str] | None:
    return (os.fspath(paths[0]), os.fspath(paths[1])) if paths else None


def _check_files(*files: object) -> None:
    for file in files:
        if isinstance(file, str) and not Path(file).exists():
            raise errors.CertificateError(
                f"no certificate at {file}: correct AIS_CLIENT_CA, AIS_CRT and AIS_CRT_KEY, or "
                "ca_cert and client_cert of the settings"
            )


_warned: set[str] = set()


def _warn_of(endpoint: str) -> None:
    """Warn once, and not from workers too."""
    if endpoint in _warned or multiprocessing.parent_process() is not None:
        return
    _warned.add(endpoint)
    warnings.warn(
        f"the certificate of {endpoint} is not verified (skip_verify): whoever is on the way can "
        "read and change all data and tokens; give ca_cert instead",
        UserWarning,
        stacklevel=2,
    )


def bucket_for(url: ParsedURL, endpoint: str, settings: Settings) -> Bucket:
    """Return the SDK's bucket of `url`, on this process's client. Sends no request."""
    namespace = Namespace(uuid=url.uuid, name=url.namespace) if url.uuid or url.namespace else None
    # The SDK annotates `namespace` as if None, its default, were not allowed.
    return client_for(endpoint, settings).bucket(url.bucket, url.provider, namespace)  # pyright: ignore[reportArgumentType]


def sdk_object(bucket: Bucket, name: str, props: ObjectProps | None = None) -> Object:
    """Return the SDK's object of any name, which may be one that is not UTF-8; see `is_utf8`."""
    item = bucket.object(name if is_utf8(name) else "", props)
    if not is_utf8(name):
        # The SDK quotes names that are UTF-8 only.
        item._name = name
        item._object_path += quote(name, errors="surrogateescape")
    return item


def _retry_config(settings: Settings) -> RetryConfig:
    """Let the SDK repeat only what it knows better: reads that a cloud makes slow."""
    return RetryConfig(
        # So that the last answer reaches the SDK, and its message our error.
        http_retry=urllib3.Retry(0, raise_on_status=False),
        network_retry=Retrying(
            stop=stop_after_attempt(settings.max_retries + 1)
            | stop_after_delay(settings.retry_deadline_s),
            wait=wait_random_exponential(settings.first_backoff_s, settings.max_backoff_s),
            retry=retry_if_exception(is_cold_read) | retry_if_exception_type(sdk.ErrGETConflict),
            before_sleep=_count_retry,
            sleep=pause,
            reraise=True,
        ),
    )


def _count_retry(state: RetryCallState) -> None:
    increment("retries")
    before_sleep_log(_logger, logging.INFO)(state)
