"""Shard content: the bytes of a tar that are put together while they are read.

Its size is known before, and so is every byte: members have no times and no owners. So a shard
is sent by one request, again from the beginning where that fails, and nothing is kept in a file.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO

from aisdatapipes.errors import ObjectChangedError
from aisdatapipes.packing.sources import FileSource, SourceFile

__all__ = ["END_BYTES", "ShardContent", "member_bytes"]

END_BYTES = 2 * tarfile.BLOCKSIZE
_PIECE_BYTES = 256 * 2**10


class ShardContent:
    """A tar of some files, as a file that can be read forward, and again.

    Args:
        source: Where the files are.
        files: What is in the tar, in order.
        tell: Is called with the bytes of each piece that was read.

    Example:
        >>> import io
        >>> from pathlib import Path
        >>> from aisdatapipes.packing.sources import FolderSource
        >>> source = FolderSource(Path(__file__).parent)
        >>> with ShardContent(source, [min(source.files())]) as content:
        ...     tarfile.open(fileobj=io.BytesIO(content.read(2**20))).getnames()
        ['__init__.py']
    """

    def __init__(
        self,
        source: FileSource,
        files: Sequence[SourceFile],
        tell: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._source = source
        self._files = files
        self._tell = tell
        self._begin()

    def __enter__(self) -> ShardContent:
        return self

    def __exit__(self, *error: object) -> None:
        self._pieces.close()

    def tell(self) -> int:
        """Return how much was read."""
        return self._at

    def seek(self, position: int) -> int:
        """Go back to the beginning, which is all that can be sought."""
        if position:
            raise ValueError(f"a shard is read from its beginning only, not from {position}")
        self._pieces.close()
        self._begin()
        return 0

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end only.

        Raises:
            ObjectChangedError: A file has another size than it had.
            OSError: A file cannot be read.
        """
        while len(self._buffer) < size and (piece := next(self._pieces, None)) is not None:
            self._buffer += piece
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._at += len(taken)
        self._tell(len(taken))
        return taken

    def pieces(self) -> Iterator[bytes]:
        """Yield all that is left."""
        return iter(lambda: self.read(_PIECE_BYTES), b"")

    def _begin(self) -> None:
        self._at = 0
        self._buffer = bytearray()
        self._pieces = self._members()

    def _members(self) -> Generator[bytes, None, None]:
        opened = self._source.opened(self._files)
        for file, content in zip(self._files, opened, strict=True):
            yield _header(file)
            yield from _body(file, content)
            yield bytes(-file.size % tarfile.BLOCKSIZE)
        yield bytes(END_BYTES)


def member_bytes(file: SourceFile) -> int:
    """Return the bytes of a file in a tar, with its header.

    Example:
        >>> member_bytes(SourceFile("1.jpg", 513)), member_bytes(SourceFile(150 * "1", 0))
        (1536, 1536)
    """
    name = file.name.encode("utf-8", "surrogateescape")
    header = tarfile.BLOCKSIZE if len(name) <= tarfile.LENGTH_NAME else len(_header(file))
    return header + file.size + -file.size % tarfile.BLOCKSIZE


def _header(file: SourceFile) -> bytes:
    info = tarfile.TarInfo(file.name)
    info.size = file.size
    # Of all formats this one has names of any bytes as they are, and no block more for a usual one.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _body(file: SourceFile, content: IO[bytes]) -> Iterator[bytes]:
    left = file.size
    while left and (piece := content.read(min(left, _PIECE_BYTES))):
        yield piece
        left -= len(piece)
    if left or content.read(1):
        raise ObjectChangedError(
            f"{file.name!r} has not the {file.size:,} bytes any more that it had: it was changed "
            "while it was packed: pack again"
        )
