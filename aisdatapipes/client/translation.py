"""Translation of what the SDK and its transport raise into our errors, by one table."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
import urllib3
from aistore.sdk import errors as sdk
from aistore.sdk.authn.errors import AuthNError
from aistore.sdk.batch.errors import MultipartDecodeError
from aistore.sdk.obj.obj_file import errors as obj_file

from aisdatapipes import errors
from aisdatapipes.client.knowledge import known_cluster
from aisdatapipes.client.patience import ongoing_trouble
from aisdatapipes.client.responses import answer_of, failure_of_etl, reason_of, root_cause, text_of
from aisdatapipes.urls import ParsedURL

__all__ = ["ERROR_TABLE", "failed_etl", "translate_error", "translated_errors"]

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
    requests.exceptions.SSLError: errors.CertificateError,
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

# What AIStore says of a token, to what we say.
_REFUSALS = {
    "token required": "it asks for a token and got none",
    "expired": "the token has expired",
}
_REFUSED = "it does not accept the token"
_OR_OWN_SERVER = "; an ETL of hpull:// answers itself, at an address that must be within reach"

_STATUS_TABLE = {
    401: errors.AuthenticationError,
    403: errors.AccessDeniedError,
    416: errors.IncompleteReadError,  # the object ends before the range
}

# The SDK reads what is missing out of the same message, but not for every provider and wrongly
# for remote clusters. The first pattern that is found counts.
_NOT_FOUND_TABLE = {
    re.compile(" does not exist - try starting new ETL "): errors.ETLNotFoundError,
    re.compile("(^|: )failed to (lookup|HEAD remote) bucket "): errors.RemoteBucketNotFoundError,
    re.compile(r"-error\[NoSuchBucket: "): errors.RemoteBucketNotFoundError,
    re.compile(r'^remote-cluster\[.*\]: bucket ".*" does not'): errors.RemoteBucketNotFoundError,
    re.compile('(^|: )bucket ".*" does not exist'): errors.BucketNotFoundError,
    re.compile(r"does not exist|-error\[(NoSuchKey|NotFound): "): errors.ObjectNotFoundError,
}

# The same, where AIStore answers with another status than 404: 400 for further ETLs of a pipeline,
# for remote clusters, and from a target that has heard of the end of a bucket before the proxy or
# after it; 500 for Google's storage, whose library wraps the errors that
# `gcpErrorToAISError` compares with.
_MISSING_STAGE = re.compile(r'etl="(.*)"\] entry not found in the target')
_NOT_FOUND_ANYHOW_TABLE = {
    _MISSING_STAGE: errors.ETLNotFoundError,
    re.compile('(^|: )remote bucket ".*" does not exist'): errors.RemoteBucketNotFoundError,
    re.compile('^bucket "[^"]*" does not exist'): errors.BucketNotFoundError,
    re.compile("storage: bucket doesn't exist"): errors.RemoteBucketNotFoundError,
    re.compile("storage: object doesn't exist"): errors.ObjectNotFoundError,
}


@contextmanager
def translated_errors(url: ParsedURL, endpoint: str, doing: str = "read") -> Iterator[None]:
    """Turn what the SDK and its transport raise inside the block into our errors.

    The original, with its long chain, goes to the log at level DEBUG.

    Args:
        url: What is being read or listed, for the message.
        endpoint: Address of the cluster, for the message.
        doing: What cannot be done to it, for the message: a verb.

    Raises:
        AISPipeError: One of its subclasses, by `ERROR_TABLE`.
    """
    try:
        yield
    except errors.AISPipeError:
        raise
    except tuple(ERROR_TABLE) as error:
        # The chain behind a refusal may hold the token: the cluster repeats one that has expired.
        chain = None if getattr(error, "status_code", 0) in _STATUS_TABLE else error
        _logger.debug("%s at %s failed", url.bucket_url, endpoint, exc_info=chain)
        raise translate_error(error, url, endpoint, doing) from None


def translate_error(
    error: Exception, url: ParsedURL, endpoint: str, doing: str = "read"
) -> errors.AISPipeError:
    """Return our error for one of the SDK or its transport, with a message for the user."""
    kind, words = _kind_of(error), failure_of_etl(error) if url.etl else None
    if kind is errors.ClusterUnreachableError and _is_of_target(error, endpoint):
        kind = errors.TargetUnreachableError
    if kind is errors.ClusterError and words is not None:
        translated = failed_etl(words, url, endpoint)
    else:
        message, trouble = _message(kind, error, url, endpoint, doing), ongoing_trouble(endpoint)
        if trouble:
            message += f"; the cluster is not whole: {trouble.problem}"
        translated = kind(message)
    translated.status_code = kind.status_code or getattr(error, "status_code", 0)
    return translated


def failed_etl(words: str, url: ParsedURL, endpoint: str) -> errors.ETLFailedError:
    """Return the error for an ETL that could make nothing of an object; `words` say why."""
    return errors.ETLFailedError(
        f"{url.etl} made nothing of {url.name!r} in {url.bucket_url} at {endpoint}: {words}: "
        f"see client.etl({url.etl.name if url.etl else ''!r}).logs()"
    )


def _kind_of(error: Exception) -> type[errors.AISPipeError]:
    status = getattr(error, "status_code", 0)
    if status in _STATUS_TABLE:
        return _STATUS_TABLE[status]
    if status and not isinstance(error, sdk.ErrETLNotFound) and (kind := _missing(error, status)):
        return kind
    if isinstance(error, requests.ConnectionError) and _is_read_timeout(error):
        return errors.ClusterTimeoutError
    if isinstance(error, requests.ConnectionError) and _is_of_tls(error):
        return errors.CertificateError
    return next(ERROR_TABLE[base] for base in type(error).__mro__ if base in ERROR_TABLE)


def _missing(error: Exception, status: int) -> type[errors.AISPipeError] | None:
    """Return the class of what is missing, if that is what the cluster says."""
    is_not_found = status == HTTPStatus.NOT_FOUND
    reason, answer = reason_of(error), answer_of(error)
    # Of a request between nodes: the cloud that it looked into need not name the bucket.
    request = answer.get("method"), str(answer.get("url_path"))
    if is_not_found and request[0] == "HEAD" and request[1].startswith("/v1/buckets/"):
        return errors.RemoteBucketNotFoundError
    tables = [_NOT_FOUND_ANYHOW_TABLE, *([_NOT_FOUND_TABLE] if is_not_found else [])]
    rows = [row for table in tables for row in table.items()]
    return next((kind for pattern, kind in rows if pattern.search(reason)), None)


def _is_read_timeout(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.ReadTimeoutError)


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether TLS failed: a client's certificate is refused when the answer should be read."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _message(
    kind: type[errors.AISPipeError],
    error: Exception,
    url: ParsedURL,
    endpoint: str,
    doing: str,
) -> str:
    label = f"{url.name!r} in {url.bucket_url}" if url.name else url.bucket_url
    reason = reason_of(error)
    if url.etl and issubclass(kind, errors.ETLNotFoundError):
        missing = _MISSING_STAGE.search(reason)
        name = missing[1] if missing else url.etl.name
        return (
            f"no ETL {name!r} to read {label} at {endpoint} through: start it, or correct its "
            "name; client.cluster().list_etls() has those that run"
        )
    if issubclass(kind, errors.ObjectNotFoundError):
        return f"no object {label} at {endpoint}: list the bucket for the names it has"
    if issubclass(kind, errors.RemoteBucketNotFoundError):
        return f"no bucket {url.bucket_url} behind {endpoint}: {reason}"
    if issubclass(kind, errors.BucketNotFoundError):
        return f"no bucket {url.bucket_url} at {endpoint}: check its name and provider"
    if issubclass(kind, errors.ClusterUnreachableError):
        return _unreachable(kind, error, endpoint) + (_OR_OWN_SERVER if url.etl else "")
    if issubclass(kind, errors.AuthenticationError):
        return f"cannot {doing} {label} at {endpoint}: {_refusal(reason)}"
    if issubclass(kind, errors.CertificateError):
        return f"cannot {doing} {label} at {endpoint}: {_tls_failure(error)}"
    if issubclass(kind, errors.AccessDeniedError) and "-error[" in reason:  # of a cloud
        reason += ": check the credentials of the cluster's nodes"
    if "HTTP request to an HTTPS server" in text_of(error):
        reason = "it serves HTTPS: write its address as https://"
    through = f" through {url.etl}" if url.etl else ""
    return f"cannot {doing} {label} at {endpoint}{through}: {reason}"


def _unreachable(kind: type[errors.AISPipeError], error: Exception, endpoint: str) -> str:
    if issubclass(kind, errors.TargetUnreachableError):
        return (
            f"no node answers at {_failed_node(error)}, where the cluster at {endpoint} sent the "
            f"request to ({root_cause(error)}): check that this node is up and within reach"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return (
            f"cannot reach {endpoint} through the proxy that the environment names "
            f"({root_cause(error)}): add the hosts of the cluster to no_proxy, or repair the proxy"
        )
    return (
        f"no AIStore cluster answers at {endpoint} ({root_cause(error)}): check the address "
        "(url=, AIS_ENDPOINT) and that the cluster is up"
    )


def _is_of_target(error: Exception, endpoint: str) -> bool:
    """Whether it was a target that did not answer, and no proxy."""
    if isinstance(error, requests.exceptions.ProxyError):
        return False
    node, proxies = _failed_node(error), known_cluster(endpoint).addresses(endpoint)
    return bool(node) and node not in map(_address_of, proxies)


def _failed_node(error: Exception) -> str:
    """Return the address of the node that did not answer; empty if the error does not tell."""
    request = getattr(error, "request", None)
    return _address_of(request.url) if request is not None and request.url else ""


def _address_of(url: str) -> str:
    return "{}://{}".format(*urlsplit(url))


def _refusal(reason: str) -> str:
    """Why there was no way in, without the cluster's words: they may repeat the token."""
    found = next((text for mark, text in _REFUSALS.items() if mark in reason), _REFUSED)
    return f"{found}: set AIS_AUTHN_TOKEN, AIS_AUTHN_TOKEN_FILE or Settings(token=...)"


def _tls_failure(error: Exception) -> str:
    """What the TLS library says, and what to set."""
    reason = root_cause(error)
    if "certificate verify failed" in reason.lower():
        return (
            f"its certificate is not trusted ({reason}): set AIS_CLIENT_CA or "
            "Settings(ca_cert=...) to the certificate of the authority that signed it"
        )
    if "alert" in reason.lower():
        return (
            f"it does not accept this client ({reason}): set AIS_CRT and AIS_CRT_KEY, or "
            "Settings(client_cert=(certificate, key))"
        )
    return f"there is no TLS ({reason}): is its address https://, and not http://?"
