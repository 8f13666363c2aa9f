"""The connection to a cluster: one SDK client per process, and the table of its errors.

Pipes and datasets hold an endpoint and `Settings`, both plain data. The client comes from
`client_for` at the moment it is needed, so that every process, forked or spawned, makes its
own and none inherits another's sockets.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
import urllib3
from aistore.sdk import Bucket, Client, Namespace
from aistore.sdk import errors as sdk
from aistore.sdk.authn.errors import AuthNError
from aistore.sdk.batch.errors import MultipartDecodeError
from aistore.sdk.obj.obj_file import errors as obj_file
from aistore.sdk.retry_config import RetryConfig
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from aisdatapipes import errors
from aisdatapipes.settings import Settings
from aisdatapipes.urls import ParsedURL, parse_endpoint

_logger = logging.getLogger(__name__)

ERROR_TABLE: dict[type[Exception], type[errors.AISPipeError]] = {
    sdk.InvalidURLException: errors.InvalidURLError,
    sdk.InvalidBckProvider: errors.InvalidURLError,
    sdk.ErrBckNotFound: errors.BucketNotFoundError,
    sdk.ErrRemoteBckNotFound: errors.RemoteBucketNotFoundError,
    sdk.ErrObjNotFound: errors.ObjectNotFoundError,
    sdk.ErrETLNotFound: errors.ETLNotFoundError,
    sdk.ErrGETConflict: errors.ObjectBusyError,
    sdk.APIRequestError: errors.ClusterError,
    sdk.AISError: errors.ClusterError,
    sdk.AISRetryableError: errors.ClusterError,
    sdk.UnexpectedHTTPStatusCode: errors.ClusterError,
    sdk.NoTargetError: errors.ClusterError,
    sdk.Timeout: errors.ClusterTimeoutError,
    AuthNError: errors.ClusterError,
    MultipartDecodeError: errors.IncompleteReadError,
    obj_file.ObjectFileReaderMaxResumeError: errors.IncompleteReadError,
    obj_file.ObjectFileReaderUnexpectedEOF: errors.IncompleteReadError,
    obj_file.ObjectFileReaderStreamError: errors.ClusterUnreachableError,
    requests.ConnectTimeout: errors.ClusterUnreachableError,
    requests.ConnectionError: errors.ClusterUnreachableError,
    requests.Timeout: errors.ClusterTimeoutError,
    requests.exceptions.ChunkedEncodingError: errors.IncompleteReadError,
    requests.RequestException: errors.ClusterError,
    urllib3.exceptions.TimeoutError: errors.ClusterTimeoutError,
    urllib3.exceptions.ProtocolError: errors.IncompleteReadError,
    urllib3.exceptions.HTTPError: errors.ClusterError,
}
"""What the SDK and its transport raise, to what we raise; the nearest base class counts."""

_STATUS_TABLE = {401: errors.AuthenticationError, 403: errors.AccessDeniedError}

# The SDK reads what is missing out of the same message, but not for every provider and wrongly
# for remote clusters. The first pattern that is found counts.
_NOT_FOUND_TABLE = {
    re.compile("(^|: )failed to (lookup|HEAD remote) bucket "): errors.RemoteBucketNotFoundError,
    re.compile('(^|: )remote bucket ".*" does not exist'): errors.RemoteBucketNotFoundError,
    re.compile('(^|: )bucket ".*" does not exist'): errors.BucketNotFoundError,
    re.compile("does not exist"): errors.ObjectNotFoundError,
}


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


def _retry_config(settings: Settings) -> RetryConfig:
    return RetryConfig(
        http_retry=urllib3.Retry(
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
            stop=stop_after_attempt(settings.max_retries + 1),
            wait=wait_random_exponential(settings.first_backoff_s, settings.max_backoff_s),
            # The SDK's default would also retry a missing object, for a minute.
            retry=retry_if_exception_type(
                (requests.ConnectionError, requests.Timeout, sdk.ErrGETConflict)
            ),
            before_sleep=before_sleep_log(_logger, logging.INFO),
            reraise=True,
        ),
    )


@contextmanager
def translated_errors(url: ParsedURL, endpoint: str) -> Iterator[None]:
    """Turn what the SDK and its transport raise inside the block into our errors.

    The original, with its long chain, goes to the log at level DEBUG.

    Args:
        url: What is being read or listed, for the message.
        endpoint: Address of the cluster, for the message.

    Raises:
        AISPipeError: One of its subclasses, by `ERROR_TABLE`.
    """
    try:
        yield
    except errors.AISPipeError:
        raise
    except tuple(ERROR_TABLE) as error:
        _logger.debug("%s at %s failed", url.bucket_url, endpoint, exc_info=error)
        raise translate_error(error, url, endpoint) from None


def translate_error(error: Exception, url: ParsedURL, endpoint: str) -> errors.AISPipeError:
    """Return our error for one of the SDK or its transport, with a message for the user."""
    kind = _kind_of(error)
    translated = kind(_message(kind, error, url, endpoint))
    translated.status_code = getattr(error, "status_code", 0) or kind.status_code
    return translated


def _kind_of(error: Exception) -> type[errors.AISPipeError]:
    status = getattr(error, "status_code", 0)
    if status in _STATUS_TABLE:
        return _STATUS_TABLE[status]
    if status == HTTPStatus.NOT_FOUND and not isinstance(error, sdk.ErrETLNotFound):
        reason = _reason(error)
        for pattern, kind in _NOT_FOUND_TABLE.items():
            if pattern.search(reason):
                return kind
    if isinstance(error, requests.ConnectionError) and _is_read_timeout(error):
        return errors.ClusterTimeoutError
    return next(ERROR_TABLE[base] for base in type(error).__mro__ if base in ERROR_TABLE)


def _is_read_timeout(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.ReadTimeoutError)


def _message(
    kind: type[errors.AISPipeError], error: Exception, url: ParsedURL, endpoint: str
) -> str:
    thing = f"{url.name!r} in {url.bucket_url}" if url.name else url.bucket_url
    reason = _reason(error)
    if issubclass(kind, errors.ObjectNotFoundError):
        return f"no object {thing} at {endpoint}: list the bucket for the names it has"
    if issubclass(kind, errors.RemoteBucketNotFoundError):
        return f"no bucket {url.bucket_url} behind {endpoint}: {reason}"
    if issubclass(kind, errors.BucketNotFoundError):
        return f"no bucket {url.bucket_url} at {endpoint}: check its name and provider"
    if issubclass(kind, errors.ClusterUnreachableError):
        return (
            f"no AIStore cluster answers at {endpoint} ({_root_cause(error)}): check the address "
            "(url=, AIS_ENDPOINT) and that the cluster is up"
        )
    return f"cannot read {thing} at {endpoint}: {reason}"


def _reason(error: Exception) -> str:
    """What the cluster says of the failure: it answers with JSON that holds a message."""
    text = str(getattr(error, "message", error)).strip()
    try:
        return json.loads(text)["message"]
    except (ValueError, TypeError, KeyError):
        status = getattr(error, "status_code", None)
        if status is None:
            return text
        return f"status {status} and no message of an AIStore cluster; is it one?"


def _root_cause(error: BaseException) -> str:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return getattr(error, "strerror", None) or str(error)
