"""Buffer: the bytes of a tar, in order, from a file that is read a large piece at a time."""

from __future__ import annotations

from typing import NoReturn, Protocol

from aisdatapipes.errors import CutArchiveError, IncompleteReadError
from aisdatapipes.tar.headers import BLOCK_BYTES, escaped

__all__ = ["Buffer", "SupportsRead"]

_PIECE_BYTES = 256 * 2**10
_ZEROS = bytes(_PIECE_BYTES)


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
        url: As given, escaped where it is not UTF-8.
        member: Name of the last member seen, for error messages.

    Example:
        >>> import io
        >>> buffer = Buffer(io.BytesIO(b"from the beginning"), "ais://imagenet/0.tar")
        >>> buffer.take(3, skipped=5), buffer.read(100)
        (b'the', b' beginning')
    """

    def __init__(self, file: SupportsRead, url: str, begin: int = 0) -> None:
        self.url = escaped(url)
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
            CutArchiveError: The file ends before.
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

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end of the file; they come again."""
        while len(self._piece) - self._at < size and (more := self._receive()):
            self._go_back(b"", more)
        return self._piece[self._at : self._at + size]

    def skip_zeros(self) -> bool:
        """Skip the blocks from here on that are all zeros; return whether others follow."""
        skipped = 0
        while True:
            rest = self._piece[self._at :]
            content = b"" if _ZEROS.startswith(rest) else rest.lstrip(b"\0")
            skipped += len(rest) - len(content)
            self._at += len(rest) - len(content)
            if content:
                self._go_back(bytes(skipped % BLOCK_BYTES))
                return True
            self._turn_to_next()
            if not self._piece:
                return False

    def end(self) -> NoReturn:
        """Raise for the end of the file, where the archive has not ended.

        Raises:
            CutArchiveError: Always.
        """
        place = f"in or behind its member {self.member!r}" if self.member else "at its beginning"
        raise CutArchiveError(
            f"{self.url} ends {place}, without the end mark of a tar: it is cut, upload it again"
        )

    def _go_back(self, taken: bytes, more: bytes = b"") -> None:
        """Let `taken` come again, and let `more` follow what is at hand."""
        self._begin = self.position - len(taken)
        self._piece, self._at = taken + self._piece[self._at :] + more, 0

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
        except EOFError as error:
            if isinstance(error, IncompleteReadError):
                raise
            self.end()  # what is compressed is cut
