"""The file of a manifest: its format, its checks, and where it lies while it is in use.

A file has these parts, one after another: eight bytes that say what it is; a digest of all that
follows, 16 bytes; the length of the header, 8 bytes; the header, JSON padded to a multiple of 8;
where each name ends in the text of names, 8 bytes each; sizes, likewise; for each object which
of the header's buckets it is in, 4 bytes; the names, as one UTF-8 text. Numbers are in this
machine's byte order, which the header tells, so that the file is used as it is, mapped into
memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path

from aisdatapipes.errors import ManifestError
from aisdatapipes.processes.shared_file import SharedFile
from aisdatapipes.processes.unfinished_file import unfinished_file

__all__ = ["BucketReference", "Contents", "MappedFile", "save_file"]

_MAGIC = b"AISmnfst"
_VERSION = 1
_DIGEST_BYTES = 16
_DIGESTED = len(_MAGIC) + _DIGEST_BYTES
_PREAMBLE = _DIGESTED + 8


@dataclass(frozen=True)
class BucketReference:
    """A bucket that objects of a manifest are in.

    Attributes:
        bucket_url: ``provider://bucket``, with its namespace if it has one.
        cluster: Endpoint of its cluster; empty for the dataset's own.
    """

    bucket_url: str
    cluster: str = ""


class Contents:
    """What a manifest's file holds, as views of a buffer: nothing is copied.

    Args:
        buffer: The bytes of a file.
        origin: What to call it in errors.

    Attributes:
        buckets: Of all objects together.
        ends: Where each name ends in `names`.
        sizes: Bytes of each object, -1 where unknown.
        bucket_numbers: Of each object, its bucket's number in `buckets`.
        names: All names, without anything between them.
        fingerprint: Hexadecimal digest of buckets, names and sizes, without the clusters.

    Raises:
        ManifestError: It is of another version or byte order.
    """

    def __init__(self, buffer: bytes | memoryview, origin: str) -> None:
        view = memoryview(buffer)
        header, start = self._read_header(view, origin)
        count = header["objects"]
        ends, sizes, numbers = start + 8 * count, start + 16 * count, start + 20 * count
        self.ends = view[start:ends].cast("q")
        self.sizes = view[ends:sizes].cast("q")
        self.bucket_numbers = view[sizes:numbers].cast("I")
        self.names = view[numbers:]
        self.buckets = [BucketReference(**bucket) for bucket in header["places"]]
        self.fingerprint: str = header["fingerprint"]

    @staticmethod
    def pack(
        buckets: list[BucketReference],
        ends: array,
        sizes: array,
        numbers: array,
        names: bytes | bytearray,
    ) -> bytes:
        """Return the bytes of a file with these contents."""
        header = {
            "version": _VERSION,
            "byte_order": sys.byteorder,
            "objects": len(ends),
            "places": [asdict(bucket) for bucket in buckets],
            "fingerprint": _fingerprint(buckets, ends, sizes, numbers, names),
        }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        parts = [len(text).to_bytes(8, sys.byteorder), text, ends, sizes, numbers, names]
        return b"".join([_MAGIC, _digest(*parts).digest(), *parts])

    @staticmethod
    def check(data: bytes, origin: str) -> None:
        """Make sure that a file is a manifest as it was written.

        Args:
            data: The bytes of the file.
            origin: What to call it in errors.

        Raises:
            ManifestError: It is none, was cut, was changed, or is of another version or byte order.
        """
        view = memoryview(data)
        if view[: len(_MAGIC)] != _MAGIC:
            raise _error(origin, "is not one")
        if view[len(_MAGIC) : _DIGESTED] != _digest(view[_DIGESTED:]).digest():
            raise _error(origin, "was cut or changed after it was written")
        Contents._read_header(view, origin)

    @staticmethod
    def _read_header(view: memoryview, origin: str) -> tuple[dict, int]:
        end = _PREAMBLE + int.from_bytes(view[_DIGESTED:_PREAMBLE], sys.byteorder)
        header = json.loads(bytes(view[_PREAMBLE:end]))
        made_for = (header["version"], header["byte_order"])
        if made_for != (_VERSION, sys.byteorder):
            raise _error(origin, f"is of version {made_for}, not {(_VERSION, sys.byteorder)}")
        return header, end


class MappedFile:
    """A manifest's file in use, mapped into memory: processes that use it share its pages.

    Copies are this object itself, and a child that multiprocessing starts gets the open file.
    Only a pickle for anybody else holds the content.

    Args:
        file: The file.

    Attributes:
        data: Its bytes.
        contents: What they say.

    Raises:
        ManifestError: It is of another version or byte order.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        self.data = file.mapped(file.size).toreadonly()
        self.contents = Contents(self.data, "that was handed over")

    def __copy__(self) -> MappedFile:
        return self

    def __deepcopy__(self, memo: object) -> MappedFile:
        return self

    def __reduce__(self) -> tuple[type[MappedFile], tuple[SharedFile]]:
        return MappedFile, (self._file,)


def _fingerprint(buckets: list[BucketReference], *buffers: array | bytes | bytearray) -> str:
    clusters = list(dict.fromkeys(bucket.cluster for bucket in buckets))
    known = [[bucket.bucket_url, clusters.index(bucket.cluster)] for bucket in buckets]
    return _digest(json.dumps([_VERSION, known]).encode(), *buffers).hexdigest()


def _digest(*buffers: array | memoryview | bytes | bytearray) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for buffer in buffers:
        digest.update(buffer)
    return digest


def _error(origin: str, reason: str) -> ManifestError:
    return ManifestError(f"cannot use the manifest {origin}: it {reason}; build and save it again")


def save_file(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file, at once or not at all; only this user can read it.

    Raises:
        OSError: It cannot be written; what was there before is there still.
    """
    with unfinished_file(Path(path), mode=0o600) as file:
        file.write(data)
