"""Streams: one object as a seekable binary file, in memory when small, by ranges when big."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from typing import IO

from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.responses import TAIL_BYTES, broke_off
from aisdatapipes.client.translation import failed_etl, translated_errors
from aisdatapipes.processes.temporary import in_temporary_folder
from aisdatapipes.reading.ranged_object import RangedObject
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry

__all__ = ["ObjectStream", "fingerprint_of", "open_object", "size_of"]


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
        ETLFailedError: An ETL could make nothing of it, or broke off in the middle.
        AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """
    # Of a cluster that cannot be reached the client itself has tried every node again.
    return retry(lambda: _open(request), request)


def _open(request: ObjectRequest) -> IO[bytes]:
    response = request.send()
    length = response.headers.get("Content-Length")
    if request.etl or length is None:
        return _spool(request, response)
    if int(length) > request.settings.whole_object_bytes:
        return ObjectStream(request, response)
    with RangedObject(request, response) as ranges:
        return _Content(ranges.readall(), ranges.fingerprint)


def size_of(file: IO[bytes]) -> int:
    """Return the bytes of a file that `open_object` opened; its position does not matter."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer().nbytes
    return file.size if isinstance(file, ObjectStream) else os.fstat(file.fileno()).st_size


def fingerprint_of(file: IO[bytes]) -> str:
    """Return what tells the content of an object that is open from another's; empty if unknown."""
    return getattr(file, "fingerprint", "")


class _Content(io.BytesIO):
    """A small object, whole in memory."""

    def __init__(self, content: bytes = b"", fingerprint: str = "") -> None:
        super().__init__(content)
        self.fingerprint = fingerprint


class ObjectStream(io.BufferedReader):
    """A big object as a seekable file that holds ``settings.read_ahead_bytes`` of it.

    Reading on uses one connection from beginning to end. A jump to another position requests
    that range only, first for ``read_ahead_bytes`` and then for ever longer ranges as the
    reading goes on. A connection that breaks goes on where it broke. Pickling it gives
    a stream that opens again, at the same position, in the process that unpickles it.

    Args:
        request: What to read.
        response: The answer to ``request.send()``, body unread; requested if not given.

    Raises:
        ObjectChangedError: While reading, the object was replaced by another version.
        IncompleteReadError: While reading, the connection broke more than
            ``settings.max_retries`` times in a row.
    """

    def __init__(self, request: ObjectRequest, response: BaseHTTPResponse | None = None) -> None:
        self.request = request
        raw = RangedObject(request, response)
        self.size, self.fingerprint = raw.size, raw.fingerprint
        super().__init__(raw, request.settings.read_ahead_bytes)

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


def _spool(request: ObjectRequest, response: BaseHTTPResponse) -> IO[bytes]:
    """Read what has no ranges, from the beginning: into memory, and to disk what is too much."""
    limit = request.settings.whole_object_bytes
    with translated_errors(request.url, request.endpoint):
        head = response.read(limit + 1)
        file = io.BytesIO(head) if len(head) <= limit else _spilled(head, response)
    if request.etl:
        file.seek(max(size_of(file) - TAIL_BYTES, 0))
        if broke_off(file.read()):
            file.close()
            raise failed_etl("it broke off in the middle", request.url, request.endpoint)
    file.seek(0)
    return file


def _spilled(head: bytes, response: BaseHTTPResponse) -> IO[bytes]:
    with in_temporary_folder():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(head)
        shutil.copyfileobj(response, file)
        file.flush()
    return file
