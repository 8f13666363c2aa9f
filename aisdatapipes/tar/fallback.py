"""Rest: what `tarfile` reads of an archive, from the first unusual header on."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from aisdatapipes.errors import AISPipeError, BadArchiveError
from aisdatapipes.tar.buffer import Buffer
from aisdatapipes.tar.headers import BLOCK_BYTES, GNU_MAGIC, TarMember

__all__ = ["FallbackReader"]

# What tarfile raises for headers that make no sense.
_COMPLAINTS = (tarfile.TarError, ArithmeticError, LookupError, RecursionError, ValueError)


class FallbackReader:
    """Reads members as `TarReader` does, by `tarfile`, which knows all formats.

    Args:
        buffer: The rest of the archive, from the beginning of a header on.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._begin = buffer.position
        self._tar: tarfile.TarFile | None = None
        self._unread: tarfile.TarInfo | None = None
        self._has_ended = False

    @property
    def position(self) -> int:
        """Where in the archive the next member begins."""
        return self._begin + (self._tar.offset if self._tar else 0)

    def next_member(self) -> TarMember | None:
        """Go to the next member, as `TarReader.next_member` does."""
        self._unread = info = None if self._has_ended else self._next_info()
        if info is None:
            self._has_ended = True
            return None
        self._buffer.member = info.name
        link = info.linkname if info.islnk() or info.issym() else ""
        return TarMember(info.name, info.size, info.isreg(), link)

    def read(self) -> bytes:
        """Return the content of the current member, as `TarReader.read` does."""
        info, self._unread = self._unread, None
        if info is None or self._tar is None:
            return b""
        if info.islnk() or info.issym():
            raise BadArchiveError(
                f"{info.name!r} in {self._buffer.url} is a link to {info.linkname!r}, which cannot "
                "be read forward: pack the file itself (GNU tar: --dereference --hard-dereference)"
            )
        with self._translated_errors():
            file = self._tar.extractfile(info) if info.isreg() else None
            return file.read() if file else b""

    def _next_info(self) -> tarfile.TarInfo | None:
        with self._translated_errors():
            if self._tar is None:
                self._tar = tarfile.open(  # noqa: SIM115 - holds nothing that must be closed
                    fileobj=cast("IO[bytes]", _EndlessFile(self._buffer)),
                    mode="r|",
                    tarinfo=_StrictInfo,
                    encoding="utf-8",
                )
            info = self._tar.next()
            if info is None and any(self._tar.fileobj.read(BLOCK_BYTES)):
                raise tarfile.ReadError("a single block of zeros")
            # tarfile would keep them all.
            self._tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
            return info

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except AISPipeError:
            raise
        except _COMPLAINTS as error:
            member = self._buffer.member
            place = f"behind {member!r}" if member else "at its beginning"
            raise BadArchiveError(
                f"{self._buffer.url} is no tar archive, or is damaged, {place} ({error}): "
                "only plain tars and those packed by gzip can be read"
            ) from error


class _EndlessFile:
    """A file that raises where it ends: tarfile takes many an end for that of the archive."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer

    def read(self, size: int) -> bytes:
        return self._buffer.read(size) or self._buffer.end()


class _StrictInfo(tarfile.TarInfo):
    """A header that is read right, or raises: to tarfile a damaged one is the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictInfo:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(str(error)) from error
            raise
        if buf[345] and buf[257:263] == GNU_MAGIC:
            # An incremental backup of GNU tar has times there; tarfile takes them for a prefix.
            times = bytes(buf[345:500]).partition(b"\0")[0].decode(encoding, errors)
            info.name = info.name.removeprefix(f"{times}/")
        return info
