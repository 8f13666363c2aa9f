"""Checksums: what the cluster has stored of an object, compared with what has arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import xxhash

from aisdatapipes.errors import ChecksumError, NoChecksumError

__all__ = ["KINDS", "Checksum", "file_has_checksum", "has_checksum"]

_PIECE_BYTES = 2**20

KINDS = {
    "xxhash2": xxhash.xxh64,
    "md5": hashlib.md5,
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}
"""The kinds of checksums that are known here, as AIStore calls them."""


class Checksum:
    """The checksum of an object, worked out while its bytes come in, in order.

    Args:
        headers: Of the cluster's answer; they name the kind of checksum and its value.
        label: The object, for messages.

    Raises:
        NoChecksumError: The answer has no checksum, or one of a kind that is not known here.
    """

    def __init__(self, headers: Mapping[str, str], label: str) -> None:
        kind, self._expected = headers.get("Ais-Checksum-Type"), headers.get("Ais-Checksum-Value")
        if kind not in KINDS or not self._expected:
            raise NoChecksumError(
                f"the cluster gives {f'a {kind}' if kind else 'no'} checksum of {label}, known are "
                f"{', '.join(KINDS)}: read it without verify, or set the bucket's checksum type"
            )
        self._digest = KINDS[kind]()
        self._label = label

    def update(self, data: bytes) -> None:
        """Take the next bytes in."""
        self._digest.update(data)

    def check(self) -> None:
        """Compare, after the last byte.

        Raises:
            ChecksumError: They differ.
        """
        found = self._digest.hexdigest()
        if found != self._expected:
            raise ChecksumError(
                f"{self._label} arrived with checksum {found}, the cluster has {self._expected}: "
                "read it again; if that does not help, it is damaged on the way or on disk"
            )


def has_checksum(pieces: Iterable[bytes], checksum: str) -> bool:
    """Whether content has a checksum of a kind that is known here, in hexadecimal.

    Listings tell no kinds; those of `KINDS` differ in their lengths. Where it is of none of them,
    nothing is read.

    Example:
        >>> has_checksum([b"a", b"b"], hashlib.md5(b"ab").hexdigest()), has_checksum([b"ab"], "")
        (True, False)
    """
    for kind in KINDS.values():
        digest = kind()
        if 2 * digest.digest_size != len(checksum):
            continue
        for piece in pieces:
            digest.update(piece)
        return digest.hexdigest() == checksum
    return False


def file_has_checksum(path: Path, checksum: str) -> bool:
    """Whether a local file has a checksum, see `has_checksum`."""
    return has_checksum(_pieces(path), checksum)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
