"""The connection to a cluster: its address, and one SDK client per process.

Pipes and datasets hold an endpoint and `Settings`, both plain data. The client comes from
`client_for` at the moment it is needed, so that every process, forked or spawned, makes its
own and none inherits another's sockets.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import requests
import urllib3
from aistore.sdk import Bucket, Client, Namespace
from aistore.sdk import errors as sdk
from aistore.sdk.retry_config import RetryConfig
from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from aisdatapipes import errors
from aisdatapipes.counters import note
from aisdatapipes.settings import Settings
from aisdatapipes.urls import ParsedURL, parse_endpoint

_logger = logging.getLogger(__name__)


def resolve_endpoint(url: str | None) -> str:
    """Return the address of the cluster: `url`, else ``$AIS_ENDPOINT``.

    Raises:
        EndpointError: Neither is given, or it is no address of an HTTP server.
    """
    url = url or os.environ.get("AIS_ENDPOINT")
    if not url:
        raise errors.EndpointError(
            "no AIStore endpoint: pass url='http://host:port' or set AIS_ENDPOINT"
        )
    return parse_endpoint(url)


_clients: dict[tuple[str, Settings], Client] = {}
_clients_lock = threading.Lock()


def client_for(endpoint: str, settings: Settings) -> Client:
    """Return this process's SDK client for `endpoint`, made at the first call.

    Threads share it; a forked child starts with none.
    """
    with _clients_lock:
        key = (endpoint, settings)
        if key not in _clients:
            _clients[key] = Client(
                f"{endpoint}/",  # else the SDK drops the last part of an address with a path
                timeout=(settings.connect_timeout_s, settings.read_timeout_s),
                retry_config=_retry_config(settings),
            )
        return _clients[key]


def bucket_for(url: ParsedURL, endpoint: str, settings: Settings) -> Bucket:
    """Return the SDK's bucket of `url`, on this process's client. Sends no request."""
    namespace = Namespace(uuid=url.uuid, name=url.namespace) if url.uuid or url.namespace else None
    # The SDK annotates `namespace` as if None, its default, were not allowed.
    return client_for(endpoint, settings).bucket(url.bucket, url.provider, namespace)  # pyright: ignore[reportArgumentType]


def _forget_clients() -> None:
    global _clients_lock
    _clients.clear()
    _clients_lock = threading.Lock()  # the parent may have held it at the fork


os.register_at_fork(after_in_child=_forget_clients)


class _CountingRetry(urllib3.Retry):
    """urllib3's retries of statuses, counted for the pipe that the thread works for."""

    def increment(self, *args: Any, **kwargs: Any) -> urllib3.Retry:
        incremented = super().increment(*args, **kwargs)
        note("retries")
        return incremented


def _count_retry(state: RetryCallState) -> None:
    note("retries")
    before_sleep_log(_logger, logging.INFO)(state)


def _retry_config(settings: Settings) -> RetryConfig:
    return RetryConfig(
        http_retry=_CountingRetry(
            total=settings.max_retries,
            connect=0,
            read=0,
            status_forcelist=(429, 500, 502, 503, 504),
            backoff_factor=settings.first_backoff_s,
            backoff_max=settings.max_backoff_s,
            # So that the last answer reaches the SDK, and its message our error.
            raise_on_status=False,
        ),
        network_retry=Retrying(
            stop=stop_after_attempt(settings.max_retries + 1)
            | stop_after_delay(settings.retry_deadline_s),
            wait=wait_random_exponential(settings.first_backoff_s, settings.max_backoff_s),
            # The SDK's default would also retry a missing object, for a minute.
            retry=retry_if_exception_type(
                (
                    requests.ConnectionError,
                    requests.Timeout,
                    requests.exceptions.ChunkedEncodingError,
                    urllib3.exceptions.TimeoutError,
                    sdk.ErrGETConflict,
                )
            ),
            before_sleep=_count_retry,
            reraise=True,
        ),
    )
