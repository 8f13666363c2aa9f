"""Byte streams: torch's wrapper of an open file, with the types of what is read."""

from __future__ import annotations

import io
from collections.abc import Generator

from torch.utils.data.datapipes.utils.common import StreamWrapper

__all__ = ["ByteStream"]


class ByteStream(StreamWrapper):
    """A `StreamWrapper` of a binary file; torch's own finds the same methods, without types.

    Example:
        >>> stream = ByteStream(io.BytesIO(b"content"))
        >>> stream.read(3), stream.seek(0), stream.read()
        (b'con', 0, b'content')
    """

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, or all that are left."""
        return self.file_obj.read(size)

    def readline(self) -> bytes:
        """Read up to the end of the line."""
        return self.file_obj.readline()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the position in bytes."""
        return self.file_obj.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.file_obj.tell()

    def __iter__(self) -> Generator[bytes, None, None]:
        return super().__iter__()
