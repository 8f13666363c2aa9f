"""Packed files: a header and columns of numbers, used as they are, mapped into memory.

A file has these parts, one after another: eight bytes that say what it is; a digest of all that
follows, 16 bytes; the length of the header, 8 bytes; the header, JSON padded to a multiple of 8;
whatever its format puts there. Numbers are in this machine's byte order, which the header tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aisdatapipes.errors import AISPipeError
from aisdatapipes.processes.shared_file import SharedFile
from aisdatapipes.processes.unfinished_file import unfinished_file

__all__ = ["MappedFile", "PackedFormat", "digest_of", "save_file"]

_MAGIC_BYTES = 8
_DIGEST_BYTES = 16
_DIGESTED = _MAGIC_BYTES + _DIGEST_BYTES
_PREAMBLE = _DIGESTED + 8

_T = TypeVar("_T")
Buffer = array | memoryview | bytes | bytearray


@dataclass(frozen=True)
class PackedFormat:
    """One kind of packed files.

    Attributes:
        magic: Eight bytes that its files begin with.
        version: Of what is in them.
        what: What a file is called in errors.
        error: Raised where one cannot be used.
    """

    magic: bytes
    version: int
    what: str
    error: type[AISPipeError]

    def pack(self, header: dict[str, Any], *parts: Buffer) -> bytes:
        """Return the bytes of a file.

        Args:
            header: What it says of the parts; version and byte order are added.
            parts: What follows the header.
        """
        made_for = {"version": self.version, "byte_order": sys.byteorder}
        text = json.dumps(made_for | header).encode()
        text += b" " * (-len(text) % 8)
        digested = [len(text).to_bytes(8, sys.byteorder), text, *parts]
        return b"".join([self.magic, digest_of(*digested).digest(), *digested])

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """Return the bytes of a file, if it is one of these, as it was written.

        Raises:
            AISPipeError: It is none, was cut, was changed, or is of another version or byte order.
            FileNotFoundError: There is no such file.
        """
        data, origin = Path(path).read_bytes(), repr(os.fspath(path))
        view = memoryview(data)
        if view[:_MAGIC_BYTES] != self.magic:
            raise self._refusal(origin, "is not one")
        if view[_MAGIC_BYTES:_DIGESTED] != digest_of(view[_DIGESTED:]).digest():
            raise self._refusal(origin, "was cut or changed after it was written")
        self.header_of(view, origin)
        return data

    def header_of(
        self, view: memoryview, origin: str = "that was handed over"
    ) -> tuple[dict[str, Any], int]:
        """Return the header of a file, and the byte behind it.

        Raises:
            AISPipeError: It is of another version or byte order.
        """
        end = _PREAMBLE + int.from_bytes(view[_DIGESTED:_PREAMBLE], sys.byteorder)
        header = json.loads(bytes(view[_PREAMBLE:end]))
        own, made_for = (self.version, sys.byteorder), (header["version"], header["byte_order"])
        if made_for != own:
            raise self._refusal(origin, f"is of version {made_for}, not {own}")
        return header, end

    def _refusal(self, origin: str, reason: str) -> AISPipeError:
        return self.error(
            f"cannot use the {self.what} {origin}: it {reason}; build and save it again"
        )


class MappedFile:
    """A file in use, mapped into memory: processes that use it share its pages.

    Copies are this object itself, and a child that multiprocessing starts gets the open file.
    Only a pickle for anybody else holds the content.

    Args:
        file: The file.

    Attributes:
        data: Its bytes.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        self.data = file.mapped(file.size).toreadonly()

    def __copy__(self: _T) -> _T:
        return self

    def __deepcopy__(self: _T, memo: object) -> _T:
        return self

    def __reduce__(self) -> tuple[type[MappedFile], tuple[SharedFile]]:
        return type(self), (self._file,)


def digest_of(*buffers: Buffer) -> hashlib.blake2b:
    """Return the digest of some bytes, one after another."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for buffer in buffers:
        digest.update(buffer)
    return digest


def save_file(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file, at once or not at all; only this user can read it.

    Raises:
        OSError: It cannot be written; what was there before is there still.
    """
    with unfinished_file(Path(path), mode=0o600) as file:
        file.write(data)
