"""Stored: what the cluster says that it has of an object, compared with what was sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from aisdatapipes.errors import ChecksumError, ObjectNotFoundError
from aisdatapipes.reading.checksums import KINDS
from aisdatapipes.reading.properties import ask_properties
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.refusals import written

__all__ = ["check_checksum", "check_stored", "is_there"]

_logger = logging.getLogger(__name__)


def check_checksum(
    request: ObjectRequest, headers: Mapping[str, str], digest_of: Callable[[str], str | None]
) -> None:
    """Compare the checksum in an answer with that of what was sent.

    Args:
        request: What was written.
        headers: The answer's; where they tell no checksum, or none that is known here, there is
            nothing to compare.
        digest_of: Works out that of what was sent, by a kind of `KINDS`; None if it cannot.

    Raises:
        ChecksumError: They differ.
    """
    kind, stored = headers.get("Ais-Checksum-Type", ""), headers.get("Ais-Checksum-Value")
    sent = digest_of(kind) if stored and kind in KINDS else None
    if sent is None:
        _logger.debug("%s has no checksum to compare (%s)", request.label, kind or "none")
    elif sent != stored:
        raise _other_than_sent(request, f"checksum {kind} {stored}, not {sent}")


def check_stored(request: ObjectRequest, size: int, digest_of: Callable[[str], str | None]) -> None:
    """Compare what the cluster has of an object with what was sent of it.

    Raises:
        ChecksumError: They differ.
        AISPipeError: The cluster does not tell.
    """
    with written(request):
        headers = request.sdk_object()._head_headers("size,checksum")
    if (found := int(headers.get("Content-Length", -1))) != size:
        raise _other_than_sent(request, f"{found} bytes, not {size}")
    check_checksum(request, headers, digest_of)


def is_there(request: ObjectRequest) -> bool:
    """Whether there is such an object now.

    Raises:
        AISPipeError: The cluster does not tell.
    """
    try:
        ask_properties(request)
    except ObjectNotFoundError:
        return False
    return True


def _other_than_sent(request: ObjectRequest, what: str) -> ChecksumError:
    return ChecksumError(
        f"the cluster has another {request.label} than was written ({what}): somebody else writes "
        "it at the same time, or it was damaged on the way: write it again"
    )
