"""Members: what the headers of a tar say of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import adler32

__all__ = [
    "BLOCK_BYTES",
    "DIRECTORY",
    "EXTENSIONS",
    "FILE",
    "GNU_MAGIC",
    "TarMember",
    "parse",
    "parse_extended",
    "plain_file",
]

BLOCK_BYTES = 512
FILE, DIRECTORY, _PAX, _LONG_NAME = b"05xL"
EXTENSIONS = frozenset((_PAX, _LONG_NAME))

_KNOWN = EXTENSIONS | {FILE, DIRECTORY}
_POSIX_MAGIC, GNU_MAGIC = _MAGICS = b"ustar\0", b"ustar "
# Name, size, checksum, kind, magic, and the first byte of a prefix to the name.
_FIELDS = Struct("100s24x12s12x8sB100x6s82xB166x")
_PREFIX = slice(345, 500)
_ADLER_BASE = 65521
_unpack_from = _FIELDS.unpack_from

Fields = tuple[int, int, str]


class TarMember(NamedTuple):
    """What the header of a member says.

    Attributes:
        name: Path in the archive; of a directory without a slash at its end.
        size: Bytes of content; of a sparse file, with its holes.
        is_file: Whether it is a regular file.
        link: What a hard or symbolic link leads to; empty for everything else.
    """

    name: str
    size: int
    is_file: bool
    link: str = ""


def parse(header: bytes) -> Fields | None:
    """Return kind, size and name of a header; None unless it is sound and of a known kind.

    Known are `FILE`, `DIRECTORY` and the `EXTENSIONS`, in the formats ustar, pax and GNU.

    Example:
        >>> import tarfile
        >>> parse(tarfile.TarInfo("a/1.jpg").tobuf()) == (FILE, 0, "a/1.jpg")
        True

    Source:
        POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar 1.35, "Basic Tar Format".
    """
    raw_name, raw_size, checksum, kind, magic, prefix = _FIELDS.unpack(header)
    try:
        size = int(raw_size.rstrip(b"\0 "), 8)
        is_sound = adler32(header) & 0xFFFF == _adler_of(checksum)
    except ValueError:
        return None
    if not is_sound or size < 0 or kind not in _KNOWN or magic not in _MAGICS:
        return None
    name = raw_name.partition(b"\0")[0]
    if prefix and magic == _POSIX_MAGIC:
        name = header[_PREFIX].partition(b"\0")[0] + b"/" + name
    return kind, size, _decoded(name)


def plain_file(piece: bytes, at: int) -> tuple[str, int, int, int] | None:
    """Return where the file at `at` is, if `piece` has all of it and its header is a plain one.

    What `parse` says of the header, for the common case, in half the time.

    Returns:
        Its name, where its content begins and ends, and where the next header is.

    Example:
        >>> import tarfile
        >>> plain_file(tarfile.TarInfo("a/1.jpg").tobuf(), 0)
        ('a/1.jpg', 512, 512, 512)
    """
    begin = at + BLOCK_BYTES
    if begin > len(piece):
        return None
    name, raw_size, checksum, kind, magic, prefix = _unpack_from(piece, at)
    if kind != FILE or prefix or magic not in _MAGICS:
        return None
    try:
        size = int(raw_size.rstrip(b"\0 "), 8)
        is_sound = adler32(piece[at:begin]) & 0xFFFF == _adler_of(checksum)
    except ValueError:
        return None
    following = begin + size + -size % BLOCK_BYTES
    if not is_sound or size < 0 or following > len(piece):
        return None
    return (
        name.partition(b"\0")[0].decode("utf-8", "surrogateescape"),
        begin,
        begin + size,
        following,
    )


def parse_extended(header: bytes, kind: int, extension: bytes) -> Fields | None:
    """Return the fields of a header as the extension before it corrects them.

    Args:
        header: Of a file or directory.
        kind: Which of the `EXTENSIONS` it is.
        extension: Its content.

    Returns:
        Kind, size and name; None unless all of it is sound and known.
    """
    fields = parse(header)
    if fields is None or fields[0] in EXTENSIONS:
        return None
    if kind == _LONG_NAME:
        return fields[0], fields[1], _decoded(extension.partition(b"\0")[0])
    try:
        records = dict(_pax_records(extension))
        size = int(records.get(b"size", fields[1]))
    except ValueError:
        return None
    if b"hdrcharset" in records or any(key.startswith(b"GNU.sparse.") for key in records):
        return None
    name = _decoded(records[b"path"]).rstrip("/") if b"path" in records else fields[2]
    return (fields[0], size, name) if name and size >= 0 else None


@lru_cache(maxsize=8192)
def _adler_of(checksum: bytes) -> int:
    """Return the low half of the Adler-32 of a header with this field for a checksum.

    It is one more than the sum of all bytes, which C computes at once; a tar's checksum is that
    sum with its own field taken for eight spaces. The few thousand checksums there are recur.
    """
    return (1 + int(checksum.rstrip(b"\0 "), 8) - 8 * ord(" ") + sum(checksum)) % _ADLER_BASE


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    r"""Yield the keys and values of a pax header: ``length key=value\n``, one after another."""
    at = 0
    while at < len(content):
        space = content.index(b" ", at)
        end = at + int(content[at:space])
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end <= space or not equals or content[end - 1 : end] != b"\n":
            raise ValueError("not a record of a pax header")
        yield key, value
        at = end
