"""Buffer: the bytes of a tar, in order, from a file that is read a large piece at a time."""

from __future__ import annotations

import gzip
import zlib
from typing import NoReturn, Protocol

from aisdatapipes.errors import AISPipeError, BadArchiveError, IncompleteReadError

__all__ = ["Buffer", "SupportsRead"]

_PIECE_BYTES = 256 * 2**10


class SupportsRead(Protocol):
    """A file that can be read forward; it may give less than it is asked for, b"" at its end."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to `size` bytes."""
        ...


class Buffer:
    """Cuts what a file holds, copying every byte once.

    Args:
        file: Where the bytes come from.
        url: What error messages call it.
        begin: Where in the archive the file begins.

    Attributes:
        url: As given.
        member: Name of the last member seen, for error messages.

    Example:
        >>> import io
        >>> buffer = Buffer(io.BytesIO(b"from the beginning"), "ais://imagenet/0.tar")
        >>> buffer.take(3, skipped=5), buffer.read(100)
        (b'the', b' beginning')
    """

    def __init__(self, file: SupportsRead, url: str, begin: int = 0) -> None:
        self.url = url
        self.member = ""
        self._file = file
        self._piece = b""
        self._begin = begin  # of the piece, in the archive
        self._at = 0

    @property
    def position(self) -> int:
        """Where in the archive the next byte is."""
        return self._begin + self._at

    def take(self, size: int, skipped: int = 0) -> bytes:
        """Return exactly `size` bytes, those behind the next `skipped`.

        Raises:
            IncompleteReadError: The file ends before.
        """
        begin = self._at + skipped
        taken = self._piece[begin : begin + size]
        if len(taken) < size:
            return self._take_across(begin, size)
        self._at = begin + size
        return taken

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end, as a file does."""
        if self._at == len(self._piece):
            self._turn_to_next()
        return self.take(min(size, len(self._piece) - self._at))

    def at_hand(self, skipped: int) -> tuple[bytes, int, int]:
        """Return the piece at hand, where in the archive it begins, and where in it to go on.

        Args:
            skipped: Bytes to leave out, which the piece may not have all.
        """
        return self._piece, self._begin, self._at + skipped

    def go_on_at(self, at: int) -> None:
        """Continue at a place in the piece at hand."""
        self._at = at

    def put_back(self, taken: bytes) -> None:
        """Let `taken` come again."""
        self._begin = self.position - len(taken)
        self._piece, self._at = taken + self._piece[self._at :], 0

    def begin_with(self, magic: bytes) -> bool:
        """Whether the next bytes are `magic`; they stay where they are."""
        while len(self._piece) - self._at < len(magic):
            more = self._receive()
            if not more:
                return False
            self._begin = self.position
            self._piece, self._at = self._piece[self._at :] + more, 0
        return self._piece.startswith(magic, self._at)

    def end(self) -> NoReturn:
        """Raise for the end of the file, where the archive has not ended.

        Raises:
            IncompleteReadError: Always.
        """
        place = f"in or behind its member {self.member!r}" if self.member else "at its beginning"
        raise IncompleteReadError(
            f"{self.url} ends {place}, without the end mark of a tar: it is cut, upload it again"
        )

    def _take_across(self, begin: int, size: int) -> bytes:
        while begin > len(self._piece):
            begin -= len(self._piece)
            self._advance()
        parts = [self._piece[begin : begin + size]]
        self._at = begin + len(parts[0])
        missing = size - len(parts[0])
        while missing:
            self._advance()
            parts.append(self._piece[:missing])
            missing -= len(parts[-1])
            self._at = len(parts[-1])
        return b"".join(parts)

    def _advance(self) -> None:
        self._turn_to_next()
        if not self._piece:
            self.end()

    def _turn_to_next(self) -> None:
        self._begin += len(self._piece)
        self._piece, self._at = self._receive(), 0

    def _receive(self) -> bytes:
        try:
            return self._file.read(_PIECE_BYTES) or b""
        except AISPipeError:
            raise
        except EOFError:  # of gzip: what it unpacks is cut
            return b""
        except (gzip.BadGzipFile, zlib.error) as error:
            raise BadArchiveError(f"{self.url} is damaged ({error}): upload it again") from error
