"""Extensions: what pax headers and the long names of GNU tar say of the member behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aisdatapipes.tar.headers import GLOBAL, LONG_LINK, LONG_NAME, decoded

__all__ = [
    "LINK",
    "MAX_EXTENSION_BYTES",
    "MEMBER_SIZE",
    "PATH",
    "SPARSE_KEYS",
    "decimal",
    "name_in",
    "parse_extension",
    "size_in",
]

MAX_EXTENSION_BYTES = 2**20
"""The biggest that is read; those of real archives are of some hundred bytes."""

PATH, LINK, MEMBER_SIZE = b"path", b"linkpath", b"size"
_GLOBAL_KEYS = frozenset((PATH, LINK, MEMBER_SIZE))
_SPARSE = b"GNU.sparse."
SPARSE_KEYS = frozenset(
    _SPARSE + key
    for key in (b"map", b"major", b"minor", b"name", b"numblocks", b"realsize", b"size")
)
"""What tells that a file has holes, and where."""
_KEYS = _GLOBAL_KEYS | SPARSE_KEYS
_CHUNK_KEYS = (_SPARSE + b"offset", _SPARSE + b"numbytes")
_MAX_DIGITS = 20


def parse_extension(kind: bytes, content: bytes) -> dict[bytes, bytes]:
    r"""Return what an extension says about names, sizes and holes, by the keys of pax.

    Of the holes in GNU tar's format 0.0, a pair of records for each, is made what format 0.1
    has, a ``GNU.sparse.map``. An empty value takes back what is said elsewhere.

    Args:
        kind: Of its header.
        content: What is behind the header, in whole blocks: up to a zero.

    Raises:
        ValueError: It is not sound.

    Example:
        >>> parse_extension(b"x", b"14 path=1.jpg\n20 mtime=1700000000\n")
        {b'path': b'1.jpg'}
    """
    if kind in (LONG_NAME, LONG_LINK):
        name = content.partition(b"\0")[0]
        if not name:  # that in the header is one which is cut
            raise ValueError("a long name that is empty")
        return {PATH if kind == LONG_NAME else LINK: name}
    known = _GLOBAL_KEYS if kind == GLOBAL else _KEYS
    found: dict[bytes, bytes] = {}
    chunks: list[bytes] = []
    for key, value in _records(content):
        if kind == GLOBAL and key.startswith(_SPARSE):
            raise ValueError("a global header that says where a file has holes")
        if key in known:
            found[key] = value
        elif key in _CHUNK_KEYS:
            chunks.append(value)
    if PATH in found:
        found[PATH] = found[PATH].rstrip(b"/")
    if chunks:
        found.setdefault(b"GNU.sparse.map", b",".join(chunks))
    return found


def decimal(digits: bytes) -> int:
    """Return a number, in a time that its digits cannot make long.

    Raises:
        ValueError: It is none, or has too many digits.
    """
    if len(digits) > _MAX_DIGITS or not digits.isdigit():
        raise ValueError(f"{digits[:_MAX_DIGITS]!r} is no number of up to {_MAX_DIGITS} digits")
    return int(digits)


def name_in(records: Mapping[bytes, bytes], key: bytes, default: str) -> str:
    """Return a name that an extension gives, or the one in the header."""
    value = records.get(key)
    return decoded(value) if value else default


def size_in(records: Mapping[bytes, bytes], default: int) -> int:
    """Return the size of content that an extension gives, or the one in the header.

    Raises:
        ValueError: It is no number.
    """
    return decimal(records[MEMBER_SIZE]) if records.get(MEMBER_SIZE) else default


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    r"""Yield the keys and values of a pax header: ``length key=value\n``, one after another."""
    at = 0
    while at < len(content) and content[at]:
        space = content.find(b" ", at, at + _MAX_DIGITS + 1)
        end = at + decimal(content[at:space]) if space > at else 0
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end <= space or not equals or content[end - 1 : end] != b"\n":
            raise ValueError(f"no record of a pax header at its byte {at}")
        yield key, value
        at = end
