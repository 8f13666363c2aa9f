"""Content: the body of a request, sent piece by piece, from bytes or from a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

__all__ = ["Content", "StoppedError"]

_PIECE_BYTES = 256 * 2**10
"""One time-out is for one piece, so that a slow network may still deliver a big body."""


class StoppedError(Exception):
    """Nobody wants any more what is being sent."""


class Content:
    """Bytes of a length that is known, as requests takes them for a body.

    Not a generator, whose length is not known: the cluster would store 0 bytes and say 200.

    Args:
        source: The bytes, or a file that is read from where it stands.
        size: How many.
        stop: Ends the sending in the middle, once it is set.
        digest: Is updated with what is sent.

    Attributes:
        failure: Why the source gave no more; requests would take it for a broken connection.
    """

    def __init__(
        self,
        source: bytes | memoryview | BinaryIO,
        size: int,
        stop: threading.Event | None = None,
        digest: Any = None,
    ) -> None:
        self._source = source
        self._size = size
        self._stop = stop
        self._digest = digest
        self.failure: Exception | None = None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes | memoryview]:
        try:
            for piece in self._pieces():
                self._check_wanted()
                if self._digest is not None:
                    self._digest.update(piece)
                yield piece
        except Exception as error:
            self.failure = error
            raise

    def _check_wanted(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise StoppedError

    def _pieces(self) -> Iterator[bytes | memoryview]:
        if isinstance(self._source, (bytes, bytearray, memoryview)):
            view = memoryview(self._source).cast("B")
            yield from (view[at : at + _PIECE_BYTES] for at in range(0, self._size, _PIECE_BYTES))
            return
        left = self._size
        while left and (piece := self._source.read(min(_PIECE_BYTES, left))):
            yield piece
            left -= len(piece)
        if left:
            raise EOFError(f"it ended {left} bytes early")
