"""Streams: one object as a seekable binary file, in memory when small, by ranges when big."""

from __future__ import annotations

import io
import shutil
import tempfile
from http import HTTPStatus
from typing import IO

from urllib3.response import BaseHTTPResponse

from aisdatapipes.client import translated_errors
from aisdatapipes.errors import (
    ClusterError,
    ClusterTimeoutError,
    ClusterUnreachableError,
    IncompleteReadError,
    ObjectChangedError,
)
from aisdatapipes.fetching import ObjectRequest

__all__ = ["ObjectStream", "open_object"]

_INTERRUPTIONS = (IncompleteReadError, ClusterUnreachableError, ClusterTimeoutError)
_VERSION_HEADERS = ("Ais-Version", "Ais-Checksum-Value", "ETag")


def open_object(request: ObjectRequest) -> IO[bytes]:
    """Open an object for reading; one request is sent at once, so a missing object raises here.

    Returns:
        A seekable binary file. An object of up to ``settings.whole_object_bytes`` is read into
        memory now and its connection is free again. A larger one is an `ObjectStream`. What
        an ETL makes of an object can be read once only, from its beginning: the excess over
        ``whole_object_bytes`` goes to a temporary file.

    Raises:
        ObjectNotFoundError: There is no such object.
        IncompleteReadError: The cluster sent fewer bytes than it had announced.
        AISPipeError: Another failure, as `aisdatapipes.client.ERROR_TABLE` maps it.
    """
    response = request.send()
    length = response.headers.get("Content-Length")
    if request.etl_name or length is None:
        return _spool(request, response)
    if int(length) > request.settings.whole_object_bytes:
        return ObjectStream(request, response)
    with _RangedObject(request, response) as ranges:
        return io.BytesIO(ranges.readall())


class ObjectStream(io.BufferedReader):
    """A big object as a seekable file that holds ``settings.read_ahead_bytes`` of it.

    Reading on uses one connection from beginning to end. A jump to another position asks for
    that range only, first for ``read_ahead_bytes`` and then for ever longer ranges as the
    reading goes on. A connection that breaks is taken up again where it broke. Pickling it
    gives a stream that opens anew, at the same position, in the process that unpickles it.

    Args:
        request: What to read.
        response: The answer to ``request.send()``, body unread; asked for if not given.

    Raises:
        ObjectChangedError: While reading, the object was replaced by another version.
        IncompleteReadError: While reading, the connection broke more than
            ``settings.max_retries`` times in a row.
    """

    def __init__(self, request: ObjectRequest, response: BaseHTTPResponse | None = None) -> None:
        self.request = request
        ranges = _RangedObject(request, response or request.send())
        super().__init__(ranges, request.settings.read_ahead_bytes)

    @property
    def name(self) -> str:
        """Name of the object in its bucket."""
        return self.request.url.name

    def __reduce_ex__(self, protocol: object) -> tuple:
        """Pickle the request and the position, not the connection."""
        return _reopen, (self.request, self.tell())


def _reopen(request: ObjectRequest, position: int) -> ObjectStream:
    stream = ObjectStream(request)
    stream.seek(position)
    return stream


class _RangedObject(io.RawIOBase):
    """The unbuffered file under an `ObjectStream`: positions, ranges, reconnections."""

    def __init__(self, request: ObjectRequest, response: BaseHTTPResponse) -> None:
        self._request = request
        self._size = int(response.headers["Content-Length"])
        self._version = _version_of(response)
        self._position = 0
        self._response: BaseHTTPResponse | None = response
        self._response_position = 0
        self._response_end = self._size
        self._range_bytes = request.settings.read_ahead_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}, before the object's beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        data = self._read(wanted)
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        parts = []
        while self._position < self._size:
            parts.append(self._read(self._size - self._position))
        return b"".join(parts)

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _read(self, wanted: int) -> bytes:
        """Read up to `wanted` bytes, at least one; the position is before the object's end."""
        for retries_left in reversed(range(self._request.settings.max_retries + 1)):
            response = self._response_at_position()
            try:
                data = self._receive(response, wanted)
            except _INTERRUPTIONS:
                self._hang_up()
                if not retries_left:
                    raise
            else:
                self._position += len(data)
                self._response_position = self._position
                return data
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _receive(self, response: BaseHTTPResponse, wanted: int) -> bytes:
        skipped = self._position - self._response_position
        wanted = min(wanted, self._response_end - self._position)
        with translated_errors(self._request.url, self._request.endpoint):
            data = response.read(skipped + wanted)
        if len(data) <= skipped:
            raise IncompleteReadError(
                f"{self._request.url.name!r} in {self._request.url.bucket_url} ended after "
                f"{self._response_position + len(data)} of {self._size} bytes: read it again"
            )
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
        return self._ask_for_range(goes_on=self._position == self._response_end)

    def _ask_for_range(self, *, goes_on: bool) -> BaseHTTPResponse:
        self._hang_up()
        read_ahead = self._request.settings.read_ahead_bytes
        self._range_bytes = 2 * self._range_bytes if goes_on else read_ahead
        end = min(self._position + self._range_bytes, self._size)
        response = self._request.send(self._position, end - 1)
        self._check(response)
        self._response = response
        self._response_position, self._response_end = self._position, end
        return response

    def _check(self, response: BaseHTTPResponse) -> None:
        """Raise unless `response` has a range of the very object that was opened."""
        thing = f"{self._request.url.name!r} in {self._request.url.bucket_url}"
        version = _version_of(response)
        if any(self._version.get(name, value) != value for name, value in version.items()):
            response.close()
            raise ObjectChangedError(f"{thing} was replaced while it was read: open it again")
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            response.close()
            raise ClusterError(f"the cluster serves no ranges of {thing}: copy it to ais:// first")

    def _hang_up(self) -> None:
        if self._response is None:
            return
        if self._response_position == self._response_end:
            self._response.release_conn()
        else:
            self._response.close()
        self._response = None


def _version_of(response: BaseHTTPResponse) -> dict[str, str]:
    # A remote object that the cluster has just begun to cache has not all of them yet.
    headers = response.headers
    return {name: headers[name] for name in _VERSION_HEADERS if name in headers}


def _spool(request: ObjectRequest, response: BaseHTTPResponse) -> IO[bytes]:
    limit = request.settings.whole_object_bytes
    with translated_errors(request.url, request.endpoint):
        head = response.read(limit + 1)
        if len(head) <= limit:
            return io.BytesIO(head)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(head)
        shutil.copyfileobj(response, file)
    file.seek(0)
    return file
