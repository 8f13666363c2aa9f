"""Direct: requests to the target that has an object, and not to the proxy, which redirects there.

It halves what a client does for a small object. The target follows from the name and the cluster
map; where that is out of date, the proxy knows better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

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

__all__ = ["is_silent", "request_target"]


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
    session = requester.session_manager.session
    if cast("TokenAuth", session.auth).token():
        return None
    known = requester.get_smap()
    try:
        target = known.get_target_for_object(_path_of(bucket.provider.value, bucket.name) + name)
        response = session.request(
            "GET",
            f"{_address_of(target)}/v1/{URL_PATH_OBJECTS}/{bucket.name}/{quote(name)}",
            params=dict(params),
            headers={},
            stream=True,
            timeout=requester.timeout,
        )
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
        known = bucket.client.get_smap(force_update=True)
        target = known.get_target_for_object(_path_of(bucket.provider.value, bucket.name) + name)
    except (AISError, NoTargetError, requests.RequestException):
        return False
    return _address_of(target) in silent


@lru_cache
def _path_of(provider: str, bucket: str) -> str:
    """Return what goes before the names of a bucket's objects, to tell their targets."""
    return BucketModel(name=bucket, provider=provider).get_path()


def _address_of(node: Snode) -> str:
    return node.public_net.direct_url if node.public_net else ""
