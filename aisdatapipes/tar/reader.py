"""Reader: the members of a tar stream, in order."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import IO, cast

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.tar.buffer import Buffer, SupportsRead
from aisdatapipes.tar.fallback import FallbackReader
from aisdatapipes.tar.headers import (
    BLOCK_BYTES,
    DIRECTORY,
    FILE,
    Fields,
    TarMember,
    parse,
    parse_extended,
    plain_file,
)

__all__ = ["File", "TarReader"]

_ZEROS = bytes(BLOCK_BYTES)
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_EXTENSION_BYTES = 2**20

File = tuple[str, bytes, int | None]
"""Name and content of a file, and where in the archive the next member begins: None if packed."""


class TarReader:
    """Reads the members of a tar stream forward: header by header, content on demand.

    Reads plain tars of every format, and those compressed by gzip, whatever their name is.
    The file is read in large pieces, beyond the member at hand, and is not closed.

    Args:
        file: The tar.
        url: What error messages call it.
        begin: Where in the archive `file` begins, for one that is read from a later member on.

    Example:
        >>> import io
        >>> reader = TarReader(io.BytesIO(bytes(1024)), "ais://imagenet/empty.tar")
        >>> print(reader.next_member())
        None
    """

    def __init__(self, file: SupportsRead, url: str = "", begin: int = 0) -> None:
        self._buffer = Buffer(file, url or "the tar", begin)
        self._is_compressed = False
        self._rest: FallbackReader | None = None
        self._is_plain = False  # until it has been looked at
        self._unread = 0
        self._padding = 0

    def next_member(self) -> TarMember | None:
        """Go to the next member; what is unread of the one before is skipped.

        Returns:
            The member; None at the mark that ends the archive.

        Raises:
            BadArchiveError: This is no tar, or it is damaged here.
            IncompleteReadError: The file ends before the end mark.
        """
        if not self._is_plain:
            return self._rest.next_member() if self._rest else self._begin()
        header = self._buffer.take(BLOCK_BYTES, self._unread + self._padding)
        fields = parse(header)
        if fields is None or fields[0] != FILE:
            return self._next_unusual(header, fields)
        _, size, name = fields
        self._buffer.member = name
        self._unread, self._padding = size, -size % BLOCK_BYTES
        return TarMember(name, size, True)

    def read(self) -> bytes:
        """Return the content of the current member, once; empty for what holds nothing.

        Raises:
            BadArchiveError: The member is a link: what it leads to is past, or elsewhere.
            IncompleteReadError: The file ends within the content.
        """
        if self._rest:
            return self._rest.read()
        content = self._buffer.take(self._unread)
        self._unread = 0
        return content

    def files(self) -> Iterator[File]:
        """Yield every file from here on; directories and devices, which hold none, are not.

        Raises:
            BadArchiveError: A member is a link, or the archive is damaged.
            IncompleteReadError: The archive is cut.
        """
        while member := self.next_member():
            if member.is_file or member.link:
                yield member.name, self.read(), self._following()
            if self._is_plain and not self._is_compressed:
                yield from self._files_at_hand()

    def _files_at_hand(self) -> Iterator[File]:
        """Yield the plain files that the piece at hand has whole: most of those of a shard."""
        buffer = self._buffer
        piece, piece_begin, at = buffer.at_hand(self._unread + self._padding)
        while file := plain_file(piece, at):
            self._unread = self._padding = 0
            buffer.member, begin, end, at = file
            buffer.go_on_at(at)
            yield buffer.member, piece[begin:end], piece_begin + at

    def _following(self) -> int | None:
        if self._is_compressed:
            return None
        if self._rest:
            return self._rest.position
        return self._buffer.position + self._unread + self._padding

    def _begin(self) -> TarMember | None:
        if self._buffer.begin_with(_GZIP_MAGIC):
            packed, self._is_compressed = cast("IO[bytes]", self._buffer), True
            self._buffer = Buffer(gzip.GzipFile(fileobj=packed), self._buffer.url)
        self._is_plain = True
        return self.next_member()

    def _enter(self, kind: int, size: int, name: str) -> TarMember:
        is_file = kind == FILE
        if not is_file:  # The size of a directory is not that of any content.
            name, size = name.rstrip("/"), 0
        self._unread, self._padding = size, -size % BLOCK_BYTES
        self._buffer.member = name
        return TarMember(name, size, is_file)

    def _next_unusual(self, header: bytes, fields: Fields | None) -> TarMember | None:
        """Go on at a header that is not that of a file, or not known."""
        self._unread = self._padding = 0
        if header == _ZEROS:
            return self._end()
        if fields is None or fields[1] > _MAX_EXTENSION_BYTES:
            return self._hand_over(header)
        if fields[0] == DIRECTORY:
            return self._enter(*fields)
        kind, size, _ = fields
        extension = self._buffer.take(size + -size % BLOCK_BYTES)
        following = self._buffer.take(BLOCK_BYTES)
        extended = parse_extended(following, kind, extension[:size])
        if extended is None:
            return self._hand_over(header + extension + following)
        return self._enter(*extended)

    def _end(self) -> None:
        if self._buffer.take(BLOCK_BYTES) != _ZEROS:
            raise BadArchiveError(
                f"{self._buffer.url} has a single block of zeros behind "
                f"{self._buffer.member!r}: it is damaged, upload it again"
            )
        self._buffer.put_back(2 * _ZEROS)  # for whoever asks again

    def _hand_over(self, taken: bytes) -> TarMember | None:
        """Let `tarfile` read the rest, from the header whose bytes are `taken` on."""
        self._buffer.put_back(taken)
        self._is_plain, self._rest = False, FallbackReader(self._buffer)
        return self._rest.next_member()
