"""Reader: the members of a tar stream, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError, BadArchiveError
from aisdatapipes.tar.buffer import Buffer, SupportsRead
from aisdatapipes.tar.compression import GZIP_MAGIC, GzipReader, compressed_by
from aisdatapipes.tar.extensions import (
    LINK,
    MAX_EXTENSION_BYTES,
    PATH,
    name_in,
    parse_extension,
    size_in,
)
from aisdatapipes.tar.headers import (
    BLOCK_BYTES,
    DIRECTORY,
    EXTENSIONS,
    FILE,
    GLOBAL,
    LINKS,
    SPARSE,
    WITHOUT_CONTENT,
    Fields,
    TarMember,
    link_of,
    parse,
    plain_file,
)
from aisdatapipes.tar.sparse import SparseMap, read_old_map, sparse_map

__all__ = ["File", "TarReader"]

_logger = logging.getLogger(__name__)

_ZEROS = bytes(BLOCK_BYTES)

File = tuple[str, bytes, int | None]
"""Name and content of a file, and where the next member begins: None if that is compressed."""


class TarReader:
    """Reads the members of a tar stream forward: header by header, content on demand.

    Reads plain tars of every format, those compressed by gzip, whatever their name is, and
    several tars one after another. The file is read in large pieces, beyond the member at
    hand, up to its end, and is not closed.

    Args:
        file: The tar.
        url: What error messages call it.
        begin: Where in the archive `file` begins, for one that is read from a later member on.
        max_member_bytes: The biggest file that is read of a compressed archive, or that has
            holes; others cannot be bigger than the archive is.

    Example:
        >>> import io
        >>> reader = TarReader(io.BytesIO(bytes(1024)), "ais://imagenet/empty.tar")
        >>> print(reader.next_member())
        None
    """

    def __init__(
        self,
        file: SupportsRead,
        url: str = "",
        begin: int = 0,
        max_member_bytes: int = Settings.max_member_bytes,
    ) -> None:
        self._buffer = Buffer(file, url or "the tar", begin)
        self._max_member_bytes = max_member_bytes
        self._has_begun = self._has_ended = self._is_compressed = False
        self._globals: dict[bytes, bytes] = {}
        self._sparse: SparseMap | None = None
        self._link = ""
        self._unread = 0
        self._padding = 0

    def next_member(self) -> TarMember | None:
        """Go to the next member; what is unread of the one before is skipped.

        Returns:
            The member; None where the file ends, behind the mark that ends an archive.

        Raises:
            BadArchiveError: This is no tar, or it is damaged here.
            CutArchiveError: The file ends before the end mark.
        """
        if not self._has_begun:
            self._begin()
        if self._has_ended:
            return None
        header = self._buffer.take(BLOCK_BYTES, self._unread + self._padding)
        fields = parse(header)
        if fields is None or fields[0] != FILE or self._globals:
            return self._next_unusual(header, fields)
        _, size, name = fields
        self._buffer.member, self._link, self._sparse = name, "", None
        self._unread, self._padding = size, -size % BLOCK_BYTES
        return TarMember(name, size, True)

    def read(self) -> bytes:
        """Return the content of the current member, once; empty for what holds nothing.

        Raises:
            BadArchiveError: The member is a link: what it leads to is past, or elsewhere. Or it
                is bigger than `max_member_bytes` allows.
            CutArchiveError: The file ends within the content.
        """
        if self._link:
            raise BadArchiveError(
                f"{self._buffer.member!r} in {self._buffer.url} is a link to {self._link!r}, which "
                "cannot be read forward: pack the file itself (GNU tar: --dereference "
                "--hard-dereference)"
            )
        sparse, self._sparse = self._sparse, None
        if self._is_compressed:
            self._check_size(self._unread, "compressed")
        if sparse:
            self._check_size(sparse.size, "sparse")
        content = self._buffer.take(self._unread)
        self._unread = 0
        if not sparse:
            return content
        with self._translated_errors():
            return sparse.expand(content)

    def files(self, *, skips_links: bool = False) -> Iterator[File]:
        """Yield every file from here on; directories and devices, which hold none, are not.

        Args:
            skips_links: Leave links out, with a line in the log.

        Raises:
            BadArchiveError: A member is a link or too big, or the archive is damaged.
            CutArchiveError: The archive is cut; the files before are whole, and were yielded.
        """
        while member := self.next_member():
            if member.link and skips_links:
                _logger.info("left out the link %r in %s", member.name, self._buffer.url)
            elif member.is_file or member.link:
                yield member.name, self.read(), self.following
            if not (self._is_compressed or self._globals):
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

    @property
    def following(self) -> int | None:
        """Byte at which the next member can be read from; None if it needs what comes before."""
        if self._is_compressed or self._globals:
            return None
        return self._buffer.position + self._unread + self._padding

    def _begin(self) -> None:
        self._has_begun = True
        url, beginning = self._buffer.url, self._buffer.peek(BLOCK_BYTES)
        if beginning.startswith(GZIP_MAGIC):
            self._is_compressed = True
            self._buffer = Buffer(GzipReader(self._buffer), url)
            return
        is_tar = len(beginning) == BLOCK_BYTES and parse(beginning) is not None
        if not is_tar and (name := compressed_by(beginning)):
            raise BadArchiveError(
                f"{url} is no tar archive: it is compressed by {name}, which is not read; repack "
                "it as a plain tar, or as one that gzip compresses"
            )

    def _next_unusual(self, header: bytes, fields: Fields | None) -> TarMember | None:
        """Go on at a header that is not that of a plain file."""
        self._unread = self._padding = 0
        records: dict[bytes, bytes] = {}
        while fields is None or fields[0] in EXTENSIONS:
            if fields:
                self._extend(records, *fields[:2])
            elif header != _ZEROS or records:
                raise self._damaged("no sound header")
            elif self._is_at_end():
                return None
            header = self._buffer.take(BLOCK_BYTES)
            fields = parse(header)
        with self._translated_errors():
            return self._enter(header, fields, self._globals | records)

    def _enter(self, header: bytes, fields: Fields, records: dict[bytes, bytes]) -> TarMember:
        """Go to the member of a header, of which extensions say more."""
        kind, size, name = fields
        name = name_in(records, b"GNU.sparse.name", name_in(records, PATH, name))
        size = 0 if kind in WITHOUT_CONTENT else size_in(records, size)
        self._link = name_in(records, LINK, link_of(header)) if kind in LINKS else ""
        self._buffer.member = name = name.rstrip("/") if kind == DIRECTORY else name
        self._sparse = None
        if kind == SPARSE:
            self._sparse = read_old_map(header, self._buffer)
        elif kind == FILE:
            self._sparse = sparse_map(records)
        self._unread, self._padding = size, -size % BLOCK_BYTES
        whole_size = self._sparse.size if self._sparse else size
        return TarMember(name, whole_size, kind in (FILE, SPARSE), self._link)

    def _extend(self, records: dict[bytes, bytes], kind: bytes, size: int) -> None:
        """Add what an extension says; of two that say the same the first counts."""
        if size > MAX_EXTENSION_BYTES:
            raise self._damaged(
                f"an extended header of {size:,} bytes, more than the {MAX_EXTENSION_BYTES:,} "
                "that are read"
            )
        content = self._buffer.take(size + -size % BLOCK_BYTES)  # zeros behind it, as for tarfile
        with self._translated_errors():
            found = parse_extension(kind, content)
        if kind == GLOBAL:
            self._globals |= found
        else:
            records |= found | records

    def _is_at_end(self) -> bool:
        """Go on behind the first block of an end mark; return whether no other archive follows."""
        buffer = self._buffer
        if buffer.take(BLOCK_BYTES) != _ZEROS:
            raise BadArchiveError(
                f"{buffer.url} has a single block of zeros behind {buffer.member!r}: it is "
                "damaged, upload it again"
            )
        self._globals = {}
        self._has_ended = not buffer.skip_zeros()
        header = buffer.peek(BLOCK_BYTES)
        if not self._has_ended and (len(header) < BLOCK_BYTES or parse(header) is None):
            raise BadArchiveError(
                f"{buffer.url} has an end mark behind {buffer.member!r}, and something at its byte "
                f"{buffer.position} that begins no other tar: cut that off, or repack the shard"
            )
        return self._has_ended

    def _check_size(self, size: int, what: str) -> None:
        if size > self._max_member_bytes:
            raise BadArchiveError(
                f"{self._buffer.member!r} in {self._buffer.url}, which is {what}, has {size:,} "
                f"bytes, more than the {self._max_member_bytes:,} that are allowed: if it is not "
                "there to fill the memory, raise Settings(max_member_bytes=...)"
            )

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except AISPipeError:
            raise
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> BadArchiveError:
        buffer = self._buffer
        place = f"in or behind {buffer.member!r}" if buffer.member else "at its beginning"
        return BadArchiveError(
            f"{buffer.url} is no tar archive, or is damaged, {place}, before its byte "
            f"{buffer.position} ({reason}): only plain tars and those compressed by gzip are read"
        )
