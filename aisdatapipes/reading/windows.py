"""Windows: an object that is read at any position, by ranges that are wider than what is wanted.

What was read last is kept: the window. A read inside of it costs nothing, one that goes on behind
it makes the next window twice as wide, and one elsewhere begins with a narrow one. The first
window brings the object's size too, so that no other request is needed to open it.

There is no lock: a window never changes and is replaced as a whole, so that threads, and forked
children, read at the same time, at worst the same bytes twice.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import IncompleteReadError
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry
from aisdatapipes.reading.version import ObjectVersion

__all__ = ["WindowedObject"]

_PIECE_BYTES = 2**20
_JUMP_BYTES = 32 * 2**10  # after a jump: what is wanted may be all


class _Window(NamedTuple):
    start: int
    content: bytes
    next_bytes: int

    @property
    def end(self) -> int:
        return self.start + len(self.content)


class WindowedObject:
    """An object, open for reads at any position, by any number of threads.

    Args:
        request: The object.
        most_bytes: Of a window.

    Attributes:
        size: Bytes of the object.

    Raises:
        ObjectNotFoundError: There is no such object.
        AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """

    def __init__(self, request: ObjectRequest, most_bytes: int) -> None:
        self._request = request
        self._most_bytes = most_bytes
        first_bytes = min(request.settings.read_ahead_bytes, most_bytes)
        self._version, content = retry(partial(self._open, first_bytes), request)
        self.size = self._version.size
        self._window = _Window(0, content, 2 * first_bytes)

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from `begin` to before `end`, or to the object's end.

        Raises:
            ObjectChangedError: Another object has taken its place since it was opened.
            AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
        """
        end = min(end, self.size)
        window = self._window
        if begin >= end:
            return b""
        if not window.start <= begin < window.end or end - begin > self._most_bytes:
            return self._fetch(begin, end)
        found = window.content[begin - window.start : end - window.start]
        rest = begin + len(found)
        return found if rest == end else found + self._fetch(rest, end)

    def peek(self, begin: int, most: int) -> bytes:
        """Return some of the bytes from `begin` on, at most so many; none at the end only."""
        content = self.read(begin, begin + 1)
        window = self._window
        if not window.start <= begin < window.end:
            return content
        return window.content[begin - window.start : begin - window.start + most]

    def _fetch(self, begin: int, end: int) -> bytes:
        window = self._window
        width = window.next_bytes if begin == window.end else _JUMP_BYTES
        width = min(width, self._most_bytes)
        stop = min(max(end, begin + width), self.size)
        content = retry(partial(self._receive, begin, stop), self._request)
        if len(content) > self._most_bytes:
            self._window = _Window(stop, b"", self._most_bytes)
            return content
        self._window = _Window(begin, content, 2 * width)
        return content if stop == end else content[: end - begin]

    def _receive(self, begin: int, end: int) -> bytes:
        response = self._version.request_range(begin, end - 1)
        content = self._read(response)
        if len(content) != end - begin:
            raise IncompleteReadError(
                f"{len(content)} bytes came of bytes {begin} to {end - 1} of {self._request.label}"
            )
        return content

    def _open(self, first_bytes: int) -> tuple[ObjectVersion, bytes]:
        try:
            response = self._request.send(0, first_bytes - 1)
        except IncompleteReadError:  # it has not even one byte
            response = self._request.send()
        version = ObjectVersion(self._request, response)
        content = self._read(response, first_bytes)
        if len(content) != min(first_bytes, version.size):
            raise IncompleteReadError(
                f"{len(content)} bytes came of the first {first_bytes} of {self._request.label}"
            )
        return version, content

    def _read(self, response: BaseHTTPResponse, most: int | None = None) -> bytes:
        with translated_errors(self._request.url, self._request.endpoint):
            content = response.read(most)
            # Of a cloud's object that is not cached yet, all comes, whatever range was wanted.
            while most and response.read(_PIECE_BYTES):
                pass
        response.release_conn()
        return content
