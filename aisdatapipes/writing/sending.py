"""Sending: one request that changes an object, at the target that has it, and never twice.

The cluster redirects what changes an object to a target. Asking the proxy first, without the
content, changes nothing and may be repeated. What then goes to the target is sent once: who gets
no answer cannot know whether it was carried out, and decides what that means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from aistore.sdk.response_handler import AISResponseHandler
from requests import Response

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.client.transport import send_once
from aisdatapipes.errors import (
    RETRYABLE,
    AISPipeError,
    BucketNotFoundError,
    ClusterError,
    IncompleteWriteError,
)
from aisdatapipes.metrics.counters import increment
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.content import Content, StoppedError
from aisdatapipes.writing.refusals import written

__all__ = ["act", "is_passing", "send_content"]

_JSON = {"Content-Type": "application/json"}
_SIGNATURE = "u"
"""In the query of an address: AIStore v1.5.0, ``api/apc/query.go``, ``QparamSig``."""

_PASSING = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


def is_passing(error: AISPipeError) -> bool:
    """Whether the same may succeed the next time.

    An upload that the cluster does not know any more, as after a restart, is not found.
    """
    if isinstance(error, BucketNotFoundError):
        return False
    return isinstance(error, RETRYABLE) or error.status_code in _PASSING


def send_content(
    request: ObjectRequest,
    content: Content,
    fields: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    like: str = "",
) -> Response:
    """Send the content of an object, or a part of it, once.

    Args:
        request: Which object.
        content: What to send.
        fields: More fields of the query: which part of which upload.
        headers: What else goes with it.
        like: URL of an answer for another part, whose node has to get this one too; empty to let
            the proxy say which node it is.

    Raises:
        IncompleteWriteError: The content itself cannot be read.
        AISPipeError: The cluster refuses, or gives no answer: then it may have it.
    """
    try:
        with written(request):
            address = _other_part(like, fields) or _content_address(request, len(content), fields)
            return _send(request, "PUT", address, content if len(content) else b"", headers or {})
    except Exception as error:
        failure = content.failure
        if failure is None or isinstance(failure, StoppedError):
            raise
        raise IncompleteWriteError(
            f"cannot write {request.label}: its content cannot be read ({failure}): nothing was "
            "changed"
        ) from error


def act(request: ObjectRequest, action: dict[str, Any], fields: Mapping[str, str]) -> Response:
    """Let the cluster do something with an object, once.

    Args:
        request: Which object.
        action: What, as AIStore's API has it.
        fields: More fields of the query.

    Raises:
        AISPipeError: The cluster refuses, or gives no answer: then it may have done it.
    """
    with written(request):
        address = _address(request, "POST", fields, json=action)
        return _send(request, "POST", address, json.dumps(action).encode(), _JSON)


def _content_address(request: ObjectRequest, size: int, fields: Mapping[str, str]) -> str:
    """Return where the cluster sends content of such a size to."""
    address = _address(request, "PUT", fields)
    if not _is_signed(address):
        return address
    # The signature is also of the length. The proxy is content to hear of it.
    length = {"Content-Length": str(size), "Connection": "close"}
    return _address(request, "PUT", fields, headers=length)


def _other_part(like: str, fields: Mapping[str, str]) -> str:
    """Return the address of one part by that of another; empty if only the proxy can tell it."""
    if not like or _is_signed(like):
        return ""
    path, _, query = like.partition("?")
    return f"{path}?{urlencode({**dict(parse_qsl(query)), **fields})}"


def _is_signed(address: str) -> bool:
    return _SIGNATURE in parse_qs(urlsplit(address).query)


def _address(request: ObjectRequest, method: str, fields: Mapping[str, str], **asked: Any) -> str:
    """Return where the cluster sends such a request to; that may be asked again and again."""
    item = request.sdk_object()
    answer = bucket_for(request.url, request.endpoint, request.settings).client.request(
        method,
        path=item._object_path,
        params={**item.query_params, **fields},
        allow_redirects=False,
        **asked,
    )
    if address := answer.headers.get("Location"):
        return address
    raise ClusterError(
        f"cannot write {request.label}: it does not send to a target (status "
        f"{answer.status_code}): is it an AIStore cluster?"
    )


def _send(
    request: ObjectRequest, method: str, address: str, body: Any, headers: Mapping[str, str]
) -> Response:
    increment("requests")
    client = bucket_for(request.url, request.endpoint, request.settings).client
    answer = send_once(client.session_manager.session, method, address, body, headers)
    if answer.is_redirect:
        raise ClusterError(
            f"cannot write {request.label}: the node at {address.partition('/v1/')[0]} sends on"
        )
    return AISResponseHandler().handle_response(answer)
