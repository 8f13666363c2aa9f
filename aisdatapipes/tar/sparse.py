"""Sparse files: contents whose holes, runs of zeros, are not in the archive.

Source: GNU tar 1.35, "Storing Sparse Files": the old format, and 0.0, 0.1 and 1.0 of pax.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aisdatapipes.tar.buffer import Buffer
from aisdatapipes.tar.extensions import MAX_EXTENSION_BYTES, SPARSE_KEYS, decimal
from aisdatapipes.tar.headers import BLOCK_BYTES, number

__all__ = ["SparseMap", "read_old_map", "sparse_map"]

Chunk = tuple[int, int]
"""Where in the file a run of data begins, and its bytes."""

_OLD_CHUNKS, _OLD_IS_EXTENDED, _OLD_SIZE = slice(386, 482), 482, slice(483, 495)
_MORE_CHUNKS, _MORE_IS_EXTENDED = slice(0, 504), 504


class SparseMap(NamedTuple):
    """What is where in a sparse file.

    Attributes:
        size: Bytes of the file, with its holes.
        chunks: Where its data belongs; None if the content begins with that.
    """

    size: int
    chunks: Sequence[Chunk] | None

    def expand(self, stored: bytes) -> bytes:
        """Return the file, from what the archive has of it.

        Raises:
            ValueError: The map does not fit.
        """
        chunks, at = (self.chunks, 0) if self.chunks is not None else _leading_map(stored)
        content = io.BytesIO()
        for begin, size in chunks:
            if begin < content.tell() or begin + size > self.size or at + size > len(stored):
                raise ValueError("its map of holes does not fit its content")
            content.seek(begin)
            content.write(stored[at : at + size])
            at += size
        if content.tell() < self.size:
            content.seek(self.size - 1)
            content.write(b"\0")
        return content.getvalue()


def sparse_map(records: Mapping[bytes, bytes]) -> SparseMap | None:
    """Return the map that a pax header announces; None if the file is not sparse.

    Raises:
        ValueError: It is not sound.
    """
    if not any(records.get(key) for key in SPARSE_KEYS):
        return None
    version = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
    size = decimal(records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size", b""))
    if version == (b"1", b"0"):
        return SparseMap(size, None)
    chunks, count = records.get(b"GNU.sparse.map"), records.get(b"GNU.sparse.numblocks")
    numbers = [decimal(one) for one in (chunks or b"").split(b",") if one]
    if not (chunks or count) or (count and 2 * decimal(count) != len(numbers)):
        raise ValueError("a file with holes, and not all of the map that says where")
    return SparseMap(size, _paired(numbers))


def read_old_map(header: bytes, buffer: Buffer) -> SparseMap:
    """Return the map in a header of GNU tar's old format and in the blocks behind it.

    Raises:
        ValueError: It is not sound.
        CutArchiveError: The archive ends within it.
    """
    fields, is_extended = [header[_OLD_CHUNKS]], header[_OLD_IS_EXTENDED]
    while is_extended:
        if len(fields) * BLOCK_BYTES > MAX_EXTENSION_BYTES:
            raise ValueError(f"its map of holes has more than {MAX_EXTENSION_BYTES:,} bytes")
        block = buffer.take(BLOCK_BYTES)
        fields.append(block[_MORE_CHUNKS])
        is_extended = block[_MORE_IS_EXTENDED]
    joined = b"".join(fields)
    numbers = [number(joined[at : at + 12]) for at in range(0, len(joined), 12)]
    return SparseMap(number(header[_OLD_SIZE]), _paired(numbers))


def _leading_map(stored: bytes) -> tuple[Sequence[Chunk], int]:
    """Return the map at the beginning of a content, a number on each line, and where it ends."""
    count, at = _line(stored, 0)
    numbers: list[int] = []
    for _ in range(2 * count):
        one, at = _line(stored, at)
        numbers.append(one)
    return _paired(numbers), at + -at % BLOCK_BYTES


def _line(stored: bytes, at: int) -> tuple[int, int]:
    end = stored.find(b"\n", at, at + 32)
    if end > MAX_EXTENSION_BYTES:
        raise ValueError(f"its map of holes has more than {MAX_EXTENSION_BYTES:,} bytes")
    return decimal(stored[at : max(end, at)]), end + 1


def _paired(numbers: list[int]) -> list[Chunk]:
    """Return the chunks that hold something; unused places of a map are zeros."""
    if len(numbers) % 2 or any(one < 0 for one in numbers):
        raise ValueError("its map of holes is not one of pairs of sizes")
    return [chunk for chunk in zip(numbers[::2], numbers[1::2], strict=True) if chunk[1]]
