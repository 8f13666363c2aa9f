"""Replay: what was sent of an object, kept on this machine to be sent again."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import BinaryIO, cast

from aisdatapipes.errors import IncompleteWriteError

__all__ = ["Replay"]

_logger = logging.getLogger(__name__)

_LEFT_FREE = 0.05
"""Of the disk, for everything else that needs it."""


class Replay:
    """The parts that were sent, in a temporary file without a name; best effort.

    Where the disk has no room for them, it forgets all, and says so in the log.

    Args:
        label: The object, for the log.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._file: BinaryIO | None = None
        self._ends = [0]
        self._is_kept = True

    def add(self, part: bytes | memoryview) -> None:
        """Keep the next part."""
        self._ends.append(self._ends[-1] + len(part))
        if not self._is_kept:
            return
        try:
            if self._file is None:
                self._file = cast("BinaryIO", _temporary_file())
            _check_room(self._file.fileno(), len(part))
            view = memoryview(part)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            _logger.warning(
                "%s is written without a copy in the temporary folder, TMPDIR (%s): a failure on "
                "the way ends the writing",
                self._label,
                error.strerror or error,
            )
            self.close()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self._ends[-1]

    @property
    def is_kept(self) -> bool:
        """Whether `part` has the parts that were added."""
        return self._file is not None

    def file(self) -> BinaryIO:
        """Return the file with all parts, at its begin.

        Raises:
            IncompleteWriteError: It is not kept.
        """
        if self._file is None:
            raise self._is_gone()
        self._file.seek(0)
        return self._file

    def part(self, index: int) -> bytes:
        """Return a part, counted from 0; another thread may be adding one.

        Raises:
            IncompleteWriteError: It is not kept, or not any more.
        """
        begin, end = self._ends[index : index + 2]
        file = self._file
        try:
            part = _read(file.fileno(), begin, end) if file else b""
        except (OSError, ValueError):  # it was closed meanwhile
            part = b""
        if len(part) != end - begin:
            raise self._is_gone()
        return part

    def _is_gone(self) -> IncompleteWriteError:
        return IncompleteWriteError(
            f"cannot send {self._label}: its copy in the temporary folder (TMPDIR) is gone: "
            "nothing was changed: write it again"
        )

    def close(self) -> None:
        """Forget all; nothing is kept from now on."""
        self._is_kept = False
        if self._file is not None:
            self._file.close()
            self._file = None


def _temporary_file() -> object:
    return tempfile.TemporaryFile(buffering=0, prefix="aisdatapipes-")


def _check_room(descriptor: int, size: int) -> None:
    disk = os.fstatvfs(descriptor)
    if (disk.f_bavail * disk.f_frsize - size) < disk.f_blocks * disk.f_frsize * _LEFT_FREE:
        raise OSError("the disk is nearly full")


def _read(descriptor: int, begin: int, end: int) -> bytes:
    pieces = []
    while begin < end and (piece := os.pread(descriptor, end - begin, begin)):
        pieces.append(piece)
        begin += len(piece)
    return b"".join(pieces)
