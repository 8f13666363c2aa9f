"""Versions: whether what one response has of an object is of the same content as another's."""

from __future__ import annotations

import time
from http import HTTPStatus

from urllib3.response import BaseHTTPResponse

from aisdatapipes.errors import ClusterError, IncompleteReadError, ObjectChangedError
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["ObjectVersion", "is_other"]

_CHECKSUM_CHARS = 16  # of a hexadecimal number: enough where nobody tries to deceive

_KNOWN_S = 0.5
"""How long the node that the proxy has named is asked without the proxy."""

_HEADERS = ("Ais-Version", "Ais-Checksum-Value", "ETag", "Last-Modified")


class ObjectVersion:
    """What tells an object from another one that takes its place while it is read.

    That is its size, and what the cluster sends of version, checksum, ETag and time. In a bucket
    that keeps neither versions nor checksums, an object of the same size cannot be told apart.

    Args:
        request: What is read.
        response: The first response for it.

    Attributes:
        size: Bytes of the whole object.
    """

    def __init__(self, request: ObjectRequest, response: BaseHTTPResponse) -> None:
        self.size = _size_of(response)
        self._request = request
        self._note_address(response)
        self._marks = _marks_of(response)
        self._checksum_type = response.headers.get("Ais-Checksum-Type", "checksum")

    @property
    def fingerprint(self) -> str:
        """What a state keeps to know the object again: its checksum in short, or the next best."""
        marks = self._marks
        if checksum := marks.get("Ais-Checksum-Value"):
            return f"{self._checksum_type}:{checksum[:_CHECKSUM_CHARS]}"
        kinds = (kind for kind in ("ETag", "Ais-Version") if kind in marks)
        kind = next(kinds, "size")
        return f"{kind}:{marks.get(kind, self.size)}"

    def request_range(self, first_byte: int, last_byte: int) -> BaseHTTPResponse:
        """Request a range of this very object, by its first and last byte.

        It goes to the node that has answered before, but for a moment only: objects move when nodes
        come and go, and old ones may be left behind. After that, and where the node fails, the
        proxy has to say again which one it is.

        Raises:
            ObjectChangedError: There is another one now.
            AISPipeError: There is none, or the cluster serves no ranges of it.
        """
        response = None
        if time.monotonic() < self._known_until_s:
            response = self._request.send_to(self._address, first_byte, last_byte)
        if response is None:
            try:
                response = self._request.send(first_byte, last_byte)
            except IncompleteReadError:  # it ends before the range
                raise self._changed() from None
            self._note_address(response)
        self._check(response)
        return response

    def _note_address(self, response: BaseHTTPResponse) -> None:
        self._address = response.url or ""
        self._known_until_s = time.monotonic() + _KNOWN_S

    def _check(self, response: BaseHTTPResponse) -> None:
        # A remote object that the cluster has just begun to cache has not all marks yet.
        marks = _marks_of(response)
        is_other = any(self._marks.get(name, mark) != mark for name, mark in marks.items())
        is_range = response.status == HTTPStatus.PARTIAL_CONTENT
        if is_other or (is_range and _size_of(response) != self.size):
            response.close()
            raise self._changed()
        if not is_range:
            response.close()
            raise ClusterError(
                f"the cluster serves no ranges of {self._request.label}: copy it to ais:// first"
            )

    def _changed(self) -> ObjectChangedError:
        return ObjectChangedError(
            f"{self._request.label} was replaced while it was read: open it again"
        )


def is_other(before: str, now: str) -> bool:
    """Whether two fingerprints are certainly of different content.

    Example:
        >>> is_other("xxhash2:a9c6", "xxhash2:b1d0"), is_other("xxhash2:a9c6", "size:5000")
        (True, False)
    """
    return before != now and before.partition(":")[0] == now.partition(":")[0]


def _size_of(response: BaseHTTPResponse) -> int:
    """Return the bytes of the whole object, of which the response may have a range."""
    _, _, total = response.headers.get("Content-Range", "").rpartition("/")
    return int(total or response.headers["Content-Length"])


def _marks_of(response: BaseHTTPResponse) -> dict[str, str]:
    return {name: response.headers[name] for name in _HEADERS if name in response.headers}
