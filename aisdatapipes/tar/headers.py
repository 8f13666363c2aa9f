"""Headers: what the 512 bytes before a member say of it, in any format of tar."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import adler32

__all__ = [
    "BLOCK_BYTES",
    "DIRECTORY",
    "EXTENSIONS",
    "FILE",
    "GLOBAL",
    "LINKS",
    "LONG_LINK",
    "LONG_NAME",
    "SPARSE",
    "WITHOUT_CONTENT",
    "TarMember",
    "decoded",
    "escaped",
    "link_of",
    "number",
    "parse",
    "plain_file",
]

BLOCK_BYTES = 512
FILE, DIRECTORY, SPARSE = b"0", b"5", b"S"
LONG_NAME, LONG_LINK, GLOBAL = b"L", b"K", b"g"
EXTENSIONS = frozenset((LONG_NAME, LONG_LINK, GLOBAL, b"x", b"X"))
LINKS = frozenset((b"1", b"2"))
WITHOUT_CONTENT = LINKS | {b"3", b"4", DIRECTORY, b"6"}
"""Links, devices, directories, FIFOs: a size in their headers is not that of any content."""

_POSIX_MAGIC, _GNU_MAGIC = _MAGICS = b"ustar\0", b"ustar "
# Name, size, checksum, kind, magic, and the first byte of a prefix to the name.
_FIELDS = Struct("100s24x12s12x8sB100x6s82xB166x")
_CHECKSUM, _LINK, _PREFIX = slice(148, 156), slice(157, 257), slice(345, 500)
_SIGNED = Struct("148b8x356b")
_ADLER_BASE = 65521
_KINDS = [bytes([kind]) for kind in range(256)]
# Old tars write a zero for a file; a "contiguous" one is a file with a wish for its disk.
_KINDS[0] = _KINDS[ord("7")] = FILE
_PLAIN_KIND = ord(FILE)
_unpack_from = _FIELDS.unpack_from

Fields = tuple[bytes, int, str]


class TarMember(NamedTuple):
    """What the header of a member says.

    Attributes:
        name: Path in the archive; of a directory without a slash at its end. A byte that is not
            UTF-8 is a lone surrogate, as in the names that Python's own functions give.
        size: Bytes of content; of a sparse file, with its holes.
        is_file: Whether it is a regular file.
        link: What a hard or symbolic link leads to; empty for everything else.
    """

    name: str
    size: int
    is_file: bool
    link: str = ""


def parse(header: bytes) -> Fields | None:
    """Return kind, size and name of a header of any format; None if it is not sound.

    Example:
        >>> import tarfile
        >>> parse(tarfile.TarInfo("a/1.jpg").tobuf()) == (FILE, 0, "a/1.jpg")
        True

    Source:
        POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar 1.35, "Basic Tar Format". What
        they leave open is as `tarfile` reads it.
    """
    raw_name, raw_size, checksum, raw_kind, magic, prefix = _FIELDS.unpack(header)
    try:
        size = number(raw_size)
        is_sound = _is_sum(checksum, header)
    except ValueError:
        return None
    if not is_sound or size < 0:
        return None
    name, kind = raw_name.partition(b"\0")[0], _KINDS[raw_kind]
    if raw_kind == 0 and name.endswith(b"/"):  # so the tars of before 1988 mark directories
        kind = DIRECTORY
    # GNU tar has other things in that place, such as the times of an incremental backup.
    if prefix and magic != _GNU_MAGIC:
        name = header[_PREFIX].partition(b"\0")[0] + b"/" + name
    return kind, size, decoded(name)


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
    if kind != _PLAIN_KIND or prefix or magic not in _MAGICS:
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


def link_of(header: bytes) -> str:
    """Return what a link leads to."""
    return decoded(header[_LINK].partition(b"\0")[0])


def number(field: bytes) -> int:
    r"""Return the number in a field: octal digits, or base 256 behind a byte of 80 or FF.

    Raises:
        ValueError: It is none.

    Example:
        >>> number(b"0000017\0"), number(b"\x80\0\0\1\0\0\0\0"), number(bytes(8))
        (15, 4294967296, 0)
    """
    try:
        return int(field.rstrip(b"\0 "), 8)
    except ValueError:
        if field[0] in (0x80, 0xFF):
            return int.from_bytes(field[1:], "big") - (field[0] == 0xFF) * 256 ** (len(field) - 1)
        return int(field.partition(b"\0")[0].strip() or b"0", 8)


def decoded(name: bytes) -> str:
    """Return a name as text."""
    return name.decode("utf-8", "surrogateescape")


def escaped(text: str) -> str:
    r"""Return a text that can be written to any log: what is not UTF-8 is escaped.

    Example:
        >>> print(escaped("ais://imagenet/\udcff.tar"))
        ais://imagenet/\udcff.tar
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_sum(checksum: bytes, header: bytes) -> bool:
    """Whether a field holds the sum of a header's bytes, its own taken for eight spaces.

    Some old tars have summed up signed bytes.
    """
    try:
        if adler32(header) & 0xFFFF == _adler_of(checksum):
            return True
    except ValueError:
        pass
    announced, spaces = number(checksum), 8 * ord(" ")
    unsigned = sum(header) - sum(header[_CHECKSUM])
    return announced - spaces in (unsigned, sum(_SIGNED.unpack(header)))


@lru_cache(maxsize=8192)
def _adler_of(checksum: bytes) -> int:
    """Return the low half of the Adler-32 of a header with this field for a checksum.

    It is one more than the sum of all bytes, which C computes at once; a tar's checksum is that
    sum with its own field taken for eight spaces. The few thousand checksums there are recur.
    """
    return (1 + int(checksum.rstrip(b"\0 "), 8) - 8 * ord(" ") + sum(checksum)) % _ADLER_BASE
