"""Ranged objects: an unbuffered file that jumps by range requests and goes on where one broke."""

from __future__ import annotations

import io

from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import RETRYABLE, IncompleteReadError, NoChecksumError
from aisdatapipes.metrics.counters import counting, current_counters
from aisdatapipes.reading.checksums import Checksum
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry
from aisdatapipes.reading.seeking import sought_position
from aisdatapipes.reading.version import ObjectVersion

__all__ = ["RangedObject"]


class RangedObject(io.RawIOBase):
    """The unbuffered file under an `ObjectStream`: positions, ranges, reconnections.

    Args:
        request: What to read.
        response: The answer to ``request.send()``, body unread; requested if not given.
    """

    def __init__(self, request: ObjectRequest, response: BaseHTTPResponse | None = None) -> None:
        response = response or request.send()
        self._request = request
        self._counters = current_counters()  # later requests, by the consumer, count too
        self._version = ObjectVersion(request, response)
        self.size = self._version.size
        self._position = request.begin
        self._response: BaseHTTPResponse | None = response
        self._response_position = request.begin
        self._response_end = self.size
        self._range_bytes = request.settings.read_ahead_bytes
        self._checksum = _checksum_of(request, response) if request.is_verified else None
        self._checked = 0

    @property
    def fingerprint(self) -> str:
        """What tells the object's content from another's; see `ObjectVersion`."""
        return self._version.fingerprint

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes: by range requests."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is requested before the next read."""
        label = self._request.label
        self._position = sought_position(offset, whence, self._position, self.size, label)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read what comes next into `buffer` and return how many bytes."""
        wanted = min(len(buffer), self.size - self._position)
        if wanted <= 0:
            return 0
        data = self._read(wanted)
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; the inherited method would copy them twice more."""
        if size < 0:
            return self.readall()
        wanted = min(size, self.size - self._position)
        return self._read(wanted) if wanted > 0 else b""

    def readall(self) -> bytes:
        """Read from here to the end, in one piece."""
        parts = []
        while self._position < self.size:
            parts.append(self._read(self.size - self._position))
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._hang_up()
        super().close()

    def _read(self, wanted: int) -> bytes:
        """Read up to `wanted` bytes, at least one; the position is before the object's end."""
        with counting(self._counters):
            data = retry(lambda: self._receive(wanted), self._request)
        self._verify(data)
        self._position += len(data)
        self._response_position = self._position
        return data

    def _verify(self, data: bytes) -> None:
        """Add to the checksum what comes in order; after a jump the object is not verified."""
        if self._checksum is None or self._position != self._checked:
            return
        self._checksum.update(data)
        self._checked += len(data)
        if self._checked == self.size:
            self._checksum.check()

    def _receive(self, wanted: int) -> bytes:
        response = self._response_at_position()
        skipped = self._position - self._response_position
        try:
            with translated_errors(self._request.url, self._request.endpoint):
                data = response.read(skipped + min(wanted, self._response_end - self._position))
            if len(data) <= skipped:
                end = self._response_position + len(data)
                raise IncompleteReadError(
                    f"{self._request.label} ended after {end} of {self.size} bytes: read it again"
                )
        except RETRYABLE:
            self._hang_up()
            raise
        return data[skipped:] if skipped else data

    def _response_at_position(self) -> BaseHTTPResponse:
        skipped = self._position - self._response_position
        if (
            self._response is not None
            and self._position < self._response_end
            # Reading over a short gap is cheaper than another request.
            and 0 <= skipped <= self._request.settings.read_ahead_bytes
        ):
            return self._response
        return self._request_range(goes_on=self._position == self._response_end)

    def _request_range(self, *, goes_on: bool) -> BaseHTTPResponse:
        self._hang_up()
        read_ahead = self._request.settings.read_ahead_bytes
        self._range_bytes = 2 * self._range_bytes if goes_on else read_ahead
        end = min(self._position + self._range_bytes, self.size)
        self._response = self._version.request_range(self._position, end - 1)
        self._response_position, self._response_end = self._position, end
        return self._response

    def _hang_up(self) -> None:
        if self._response is None:
            return
        if self._response_position == self._response_end:
            self._response.release_conn()
        else:
            self._response.close()
        self._response = None


def _checksum_of(request: ObjectRequest, response: BaseHTTPResponse) -> Checksum:
    try:
        return Checksum(response.headers, request.label)
    except NoChecksumError:
        response.close()
        raise
