"""Verdicts: what an attempt to send a request says of sending it again."""

from __future__ import annotations

import errno
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3
from aistore.sdk.const import URL_PATH_GB
from aistore.sdk.utils import is_read_timeout

__all__ = ["Outcome", "is_cold_read", "is_from", "judge"]

Outcome = requests.Response | requests.RequestException
"""The answer, or why there is none."""

# Sent again, they do what they have done already.
_REPEATABLE_METHODS = ("GET", "HEAD", "PUT", "DELETE")
# No answer, or not all of it.
_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
# A node that is busy, not ready, or in trouble.
_BUSY = (429, 500, 502, 503, 504)
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
# What is answered so is no matter of how the cluster is.
_CERTAIN = (401, 403, 416)


def judge(
    method: str, outcome: Outcome, body: Any
) -> Literal["answered", "busy", "doubtful", "final"]:
    """Return whether the same request may have another answer, soon or later.

    Args:
        method: Of the request.
        outcome: What came of it.
        body: What was sent with it.

    Returns:
        ``answered``, by what it asked for or by what stays true; ``busy``, and the same may
        succeed soon; ``doubtful``, as it is refused for a reason that may pass with the troubles
        of the cluster only; ``final`` if it failed and must not be sent twice.
    """
    if isinstance(outcome, requests.RequestException):
        return "busy" if _may_repeat(method, outcome, body) else "final"
    status = outcome.status_code
    if status < HTTPStatus.BAD_REQUEST or status in _CERTAIN:
        return "answered"
    if body is not None and not isinstance(body, bytes):
        return "final"
    if status not in _BUSY:
        return "doubtful"
    return "busy" if method in _REPEATABLE_METHODS else "final"


def _may_repeat(method: str, error: requests.RequestException, body: Any) -> bool:
    if not isinstance(error, _PASSING) or isinstance(error, requests.exceptions.SSLError):
        return False
    if body is not None and not isinstance(body, bytes):
        return False
    if is_cold_read(error):  # the SDK waits until the object has come from its cloud
        return False
    if _is_silent_batch(error):  # its objects come by GETs, where the next batch would hang too
        return False
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if getattr(reason and reason.__cause__, "errno", None) in _OUT_OF_FILES:
        return False  # it is this process that has no more: nobody closes one meanwhile
    was_sent = not isinstance(reason, urllib3.exceptions.NewConnectionError)
    return method in _REPEATABLE_METHODS or not was_sent


def is_cold_read(error: BaseException) -> bool:
    """Whether a target took too long for an object that it may have to get from a cloud first."""
    request = getattr(error, "request", None)
    if request is None or request.method != "GET" or "/v1/objects/" not in (request.url or ""):
        return False
    provider = parse_qs(urlsplit(request.url).query).get("provider", ["ais"])
    is_timeout = isinstance(error, requests.ConnectionError) and is_read_timeout(error)
    return is_timeout and provider != ["ais"]


def _is_silent_batch(error: requests.RequestException) -> bool:
    is_batch = f"/v1/{URL_PATH_GB}" in (getattr(error.request, "url", None) or "")
    return is_batch and isinstance(error, requests.ConnectionError) and is_read_timeout(error)


def is_from(address: str, outcome: Outcome) -> bool:
    """Whether it was this address that failed, and not another one that it had sent to."""
    answered = isinstance(outcome, requests.Response)
    url = outcome.url if answered else getattr(outcome.request, "url", None)
    return (url or "").startswith(f"{address}/")
