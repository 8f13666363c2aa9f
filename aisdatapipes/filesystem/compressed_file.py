"""Compressed files: what fsspec compresses on its way to an object."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

from aisdatapipes.filesystem.writable_file import AllOrNothing, WritableFile

__all__ = ["CompressedFile"]


class CompressedFile(AllOrNothing, io.BufferedIOBase):
    """A file that is compressed while it is written, and is there when it is closed.

    The compressing files of Python close only themselves, and leave it to the other's end of life
    to be written; a `WritableFile` is dropped then.

    Args:
        compressed: Compresses into `file`.
        file: The object.
    """

    def __init__(self, compressed: Any, file: WritableFile) -> None:
        super().__init__()
        self._compressed, self._file = compressed, file

    def writable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written, before their compression."""
        return self._compressed.tell()

    def write(self, data: Any, /) -> int:
        """Write all of `data`, and return how many bytes that is."""
        return self._compressed.write(data)

    def close(self) -> None:
        """Make the object; see `WritableFile.close`."""
        if not self.closed:
            self._compressed.close()
            self._file.close()
            super().close()

    def discard(self) -> None:
        """Leave nothing of it."""
        self._file.discard()
        self._end()

    def _dealloc_warn(self, source: object) -> None:
        """Hear of a text file that is dropped, and will close this one; see `WritableFile`."""
        self._file._dealloc_warn(source)

    def __del__(self) -> None:
        # IOBase would close, which makes the object.
        if not self.closed:
            self._file.drop()
            self._end()

    def _end(self) -> None:
        with suppress(ValueError):  # else it would write what is left later, to a closed file
            self._compressed.close()
        super().close()
