"""Direct: requests to the target that has an object, and not to the proxy, which redirects there.

It halves what a client does for a small object, or for a range. The target follows from the name
and the cluster map, or is the one that has answered before; where that is out of date, the proxy
knows better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote

import requests
from aistore.sdk.const import URL_PATH_OBJECTS
from aistore.sdk.errors import AISError, NoTargetError
from aistore.sdk.response_handler import AISResponseHandler
from aistore.sdk.types import BucketModel, Snode
from urllib3.response import BaseHTTPResponse

from aisdatapipes.metrics.counters import increment
from aisdatapipes.types import Bucket

if TYPE_CHECKING:
    from aisdatapipes.client.auth import TokenAuth

__all__ = ["is_silent", "request_range_of", "request_target"]

_SIGNATURE = "u"
"""In the query of an address that is of use once, and soon: AIStore v1.5.0, ``QparamSig``."""


def request_target(bucket: Bucket, name: str, params: Mapping[str, str]) -> BaseHTTPResponse | None:
    """Request an object of the target that should have it.

    Args:
        bucket: Its bucket, on this process's client.
        name: Its name.
        params: Fields of the query.

    Returns:
        The response with its body unread. None if the proxy is to have the request: the target
        does not answer, the map has changed, or a token is needed, which goes to no other address
        than the cluster's own.

    Raises:
        AISError: The target is the right one, and says no.
    """
    requester = bucket.client
    if _has_token(bucket):
        return None
    known = requester.get_smap()
    try:
        target = known.get_target_for_object(_path_of(bucket.provider.value, bucket.name) + name)
        address = f"{_address_of(target)}/v1/{URL_PATH_OBJECTS}/{bucket.name}/{quote(name)}"
        response = _get(bucket, address, dict(params), {})
    except (requests.ConnectionError, requests.Timeout, NoTargetError):
        increment("retries")
        requester.get_smap(force_update=True)
        return None
    if response.ok:
        return response.raw
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response.close()
        return None
    if requester.get_smap(force_update=True).version == known.version:
        AISResponseHandler().handle_response(response)
    response.close()
    return None


def is_silent(bucket: Bucket, name: str, silent: Collection[str]) -> bool:
    """Whether the target of an object is one of those that do not answer.

    Args:
        bucket: Its bucket, on this process's client.
        name: Its name.
        silent: Addresses of targets.
    """
    try:
        known = bucket.client.get_smap()
        target = known.get_target_for_object(_path_of(bucket.provider.value, bucket.name) + name)
    except (AISError, NoTargetError, requests.RequestException):
        return False
    return _address_of(target) in silent


def request_range_of(
    bucket: Bucket, address: str, first_byte: int, last_byte: int
) -> BaseHTTPResponse | None:
    """Request a range of an object at the address that gave another one before.

    Args:
        bucket: Its bucket, on this process's client.
        address: Where the proxy has sent a request for the object to.
        first_byte: Where to begin.
        last_byte: The last byte, inclusive.

    Returns:
        The response with its body unread. None if the proxy is to have the request: the node there
        does not answer or has no such range, the address is no whole URL or of use once, or a
        token is needed.
    """
    address, _, query = address.partition("?")
    fields = dict(parse_qsl(query, keep_blank_values=True))
    is_absolute = address.startswith(("http://", "https://"))
    if not is_absolute or _SIGNATURE in fields or _has_token(bucket):
        return None
    increment("requests")
    try:
        response = _get(bucket, address, fields, {"Range": f"bytes={first_byte}-{last_byte}"})
    except (requests.ConnectionError, requests.Timeout):
        increment("retries")
        return None
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        return response.raw
    response.close()
    return None


def _get(
    bucket: Bucket, address: str, fields: dict[str, str], headers: dict[str, str]
) -> requests.Response:
    requester = bucket.client
    return requester.session_manager.session.request(
        "GET", address, params=fields, headers=headers, stream=True, timeout=requester.timeout
    )


def _has_token(bucket: Bucket) -> bool:
    session: Any = bucket.client.session_manager.session
    return bool(cast("TokenAuth", session.auth).token())


@lru_cache
def _path_of(provider: str, bucket: str) -> str:
    """Return what goes before the names of a bucket's objects, to tell their targets."""
    return BucketModel(name=bucket, provider=provider).get_path()


def _address_of(node: Snode) -> str:
    return node.public_net.direct_url if node.public_net else ""
