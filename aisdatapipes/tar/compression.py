"""Compression: gzip is read; other formats are told apart, for a message that helps."""

from __future__ import annotations

import re
import zlib

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.tar.buffer import Buffer

__all__ = ["GZIP_MAGIC", "GzipReader", "compressed_by"]

GZIP_MAGIC = b"\x1f\x8b"

_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_MAGICS = {
    "bzip2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\x00",
    "zstd": rb"\x28\xb5\x2f\xfd",
    "lz4": rb"\x04\x22\x4d\x18",
    "zip": rb"PK(\x03\x04|\x05\x06|\x07\x08)",
}


def compressed_by(beginning: bytes) -> str:
    """Return the name of the format that a file's first bytes are of; empty if none is known.

    Example:
        >>> import bz2
        >>> compressed_by(bz2.compress(b"archive"))
        'bzip2'
    """
    return next((name for name, magic in _MAGICS.items() if re.match(magic, beginning)), "")


class GzipReader:
    """Decompresses a file of one or more gzip streams, as it is read.

    Unlike Python's `gzip.GzipFile` it gives all that can be decompressed before it raises.

    Args:
        compressed: The file.
    """

    def __init__(self, compressed: Buffer) -> None:
        self._compressed = compressed
        self._input = b""
        self._decoder = zlib.decompressobj(_GZIP_FORMAT)

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end.

        Raises:
            BadArchiveError: The file is damaged.
            EOFError: It is cut.
        """
        while not (content := self._decompress(size)):
            if self._decoder.eof:
                if not self._turn_to_next_stream():
                    return b""
            elif not self._input:
                self._input = self._compressed.read(size)
                if not self._input:
                    raise EOFError
        return content

    def _decompress(self, size: int) -> bytes:
        try:
            content = self._decoder.decompress(self._input, size)
        except zlib.error as error:
            raise BadArchiveError(
                f"{self._compressed.url} is damaged, up to its byte {self._compressed.position} "
                f"({error}): upload it again"
            ) from error
        # Behind the end of a stream it may repeat what is in unused_data.
        self._input = b"" if self._decoder.eof else self._decoder.unconsumed_tail
        return content

    def _turn_to_next_stream(self) -> bool:
        """Go to the stream behind the one that has ended, and behind zeros that pad it."""
        following = self._decoder.unused_data.lstrip(b"\0")
        while not following:
            piece = self._compressed.read(2**18)
            if not piece:
                return False
            following = piece.lstrip(b"\0")
        self._input, self._decoder = following, zlib.decompressobj(_GZIP_FORMAT)
        return True
