"""Put: an object in one request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from aisdatapipes.reading.checksums import KINDS
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.content import Content
from aisdatapipes.writing.repeating import repeat
from aisdatapipes.writing.sending import send_content
from aisdatapipes.writing.stored import check_checksum

__all__ = ["put_object"]

_KIND = "xxhash2"


def put_object(request: ObjectRequest, content: bytes | memoryview | BinaryIO, size: int) -> None:
    """Write an object: the new one is there when this returns, and until then the old one.

    Args:
        request: The object.
        content: Its bytes, or a file that they are read from, from where it stands. A file must
            be able to seek back there, for another attempt.
        size: How many bytes.

    Raises:
        IncompleteWriteError: The file cannot be read, or ends before `size`.
        ChecksumError: What arrived is not what was sent, each time.
        BucketNotFoundError: There is no such bucket; it is not created.
        AISPipeError: The cluster refuses, or gave no answer: then it may have the new object.

    Example:
        >>> import os
        >>> from aisdatapipes import Settings
        >>> from aisdatapipes.writing.changes import delete_object
        >>> url = "ais://caltech256/put.txt"
        >>> request = ObjectRequest.parse(url, os.environ["AIS_ENDPOINT"], Settings())
        >>> put_object(request, b"hello", 5)
        >>> request.ask_size()
        5
        >>> delete_object(request)
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        repeat(lambda: _put_bytes(request, content, size), request)
    else:
        begin = content.tell()
        repeat(lambda: _put_file(request, content, begin, size), request)


def _put_bytes(request: ObjectRequest, content: bytes | memoryview, size: int) -> None:
    def digest_of(kind: str) -> str:
        return _digest(Content(content, size), kind)

    # The cluster stores none that do not fit to it.
    headers = {"Ais-Checksum-Type": _KIND, "Ais-Checksum-Value": digest_of(_KIND)}
    answer = send_content(request, Content(content, size), {}, headers)
    check_checksum(request, answer.headers, digest_of)


def _put_file(request: ObjectRequest, file: BinaryIO, begin: int, size: int) -> None:
    sent = KINDS[_KIND]()

    def digest_of(kind: str) -> str:
        if kind == _KIND:
            return sent.hexdigest()
        file.seek(begin)
        return _digest(Content(file, size), kind)

    file.seek(begin)
    answer = send_content(request, Content(file, size, digest=sent), {})
    check_checksum(request, answer.headers, digest_of)


def _digest(pieces: Iterable[bytes | memoryview], kind: str) -> str:
    digest = KINDS[kind]()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
