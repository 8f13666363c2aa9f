"""Translation of what the SDK and its transport raise into our errors, by one table."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
import urllib3
from aistore.sdk import errors as sdk
from aistore.sdk.authn.errors import AuthNError
from aistore.sdk.batch.errors import MultipartDecodeError
from aistore.sdk.obj.obj_file import errors as obj_file

from aisdatapipes import errors
from aisdatapipes.urls import ParsedURL

__all__ = ["ERROR_TABLE", "translate_error", "translated_errors"]

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
