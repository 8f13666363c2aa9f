"""Readable files: objects that are open for reading."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from aisdatapipes.filesystem.quiet_exit import OTHER_THREADS
from aisdatapipes.reading.seeking import sought_position
from aisdatapipes.reading.windows import WindowedObject

if TYPE_CHECKING:
    from aisdatapipes.filesystem.tree import FolderTree

__all__ = ["ReadableFile"]


class ReadableFile(io.BufferedIOBase):
    """An object that is open for reading; `AISFileSystem` makes it.

    Threads may share it: what a thread reads right after it went to a position is from there, also
    if another thread went elsewhere in between. That is how DuckDB reads.

    It pickles: the copy is open at the same position, and the object is requested again.

    Args:
        fs: The filesystem.
        path: Of the object.
        block_size: Most bytes that are read ahead, and held.

    Attributes:
        size: Bytes of the object.
        mode: ``"rb"``.

    Raises:
        ObjectNotFoundError: There is no such object.
    """

    mode = "rb"

    def __init__(self, fs: FolderTree, path: str, block_size: int) -> None:
        super().__init__()
        self.fs, self.path, self.blocksize = fs, path, block_size
        with OTHER_THREADS:
            self._object = WindowedObject(fs.request_for(path), block_size)
        self.size = self._object.size
        self._position = 0
        self._sought: dict[int, int] = {}  # by thread: where to, until it reads

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    @property
    def details(self) -> dict[str, Any]:
        """What `AISFileSystem.info` tells."""
        return self.info()

    def info(self) -> dict[str, Any]:
        """Return what `AISFileSystem.info` tells, by a request."""
        return self.fs.info(self.path)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes: by range requests."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        self._check_open()
        return self._sought.get(threading.get_ident(), self._position)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position, for the next read of this thread; nothing is requested before that."""
        position = sought_position(offset, whence, self.tell(), self.size, self.path)
        self._position = self._sought[threading.get_ident()] = position
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, fewer only at the end; all that is left if it is negative."""
        begin = self._take_position()
        end = self.size if size is None or size < 0 else begin + size
        with OTHER_THREADS:
            content = self._object.read(begin, end)
        self._position = begin + len(content)
        return content

    def read1(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, or as many as are at hand."""
        return self.read(size if size >= 0 else max(len(self.peek()), 1))

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, as much as it takes, and return how many bytes."""
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def peek(self, size: int = 0, /) -> bytes:
        """Return some of what is next, at least a byte before the end, and stay."""
        return self._object.peek(self.tell(), max(size, io.DEFAULT_BUFFER_SIZE))

    def close(self) -> None:
        """Forget what was read; nothing is requested any more."""
        with OTHER_THREADS:
            super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self.blocksize, self.tell())

    def __repr__(self) -> str:
        return f"<ReadableFile {self.path!r}>"

    def _take_position(self) -> int:
        self._check_open()
        position = self._sought.pop(threading.get_ident(), None)
        if position is None:
            # Somebody reads on where another thread was: all are at one position from here.
            self._sought.clear()
            return self._position
        return position

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path} is closed")


def _reopened(fs: FolderTree, path: str, block_size: int, position: int) -> ReadableFile:
    file = ReadableFile(fs, path, block_size)
    file.seek(position)
    return file
