"""Sizes of objects: those of the listing, and those that are requested one by one."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from http import HTTPStatus

from aisdatapipes.distributed.rank_sharing import share_between_ranks
from aisdatapipes.errors import AISPipeError
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.selections import UNKNOWN_SIZE
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["sizes_of"]

_CONNECTIONS = 8

_logger = logging.getLogger(__name__)


def sizes_of(manifest: Manifest, request_for: Callable[[str], ObjectRequest]) -> array[int]:
    """Return the bytes of every object of a manifest.

    What the manifest does not know is requested by concurrent HEAD requests; in a job of
    several ranks, by one of them for all.

    Args:
        manifest: The objects.
        request_for: Makes the request for a URL.

    Returns:
        64-bit numbers; -1 for an object that is not there, which is logged.

    Raises:
        AISPipeError: A request fails, other than because an object is not there.
    """
    sizes = array("q", manifest.sizes)
    unknown = [position for position, size in enumerate(sizes) if size == UNKNOWN_SIZE]
    if unknown:
        urls = manifest.urls(unknown)
        found = array("q")
        found.frombytes(
            share_between_ranks(
                f"sizes {manifest.fingerprint}", lambda: _request_all(list(map(request_for, urls)))
            )
        )
        for position, size in zip(unknown, found, strict=True):
            sizes[position] = size
    return sizes


def _request_all(requests: list[ObjectRequest]) -> bytes:
    with BackgroundPool(_CONNECTIONS) as threads:
        return array("q", threads.map(_size_of, requests)).tobytes()


def _size_of(request: ObjectRequest) -> int:
    try:
        return request.ask_size()
    except AISPipeError as error:
        # Not by its class: the answer to a HEAD has no message that tells what is missing.
        if error.status_code != HTTPStatus.NOT_FOUND:
            raise
        _logger.warning("no size of %s: it is not there", request.label)
        return UNKNOWN_SIZE
