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
import mmap
import os
import shutil
import sys
import tempfile
import threading
import weakref
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path

from aisdatapipes.errors import ManifestError
from aisdatapipes.processes.shared_folder import remove_with

__all__ = ["Contents", "MappedFile", "Place"]

_MAGIC = b"AISmnfst"
_VERSION = 1
_DIGEST_BYTES = 16
_DIGESTED = len(_MAGIC) + _DIGEST_BYTES
_PREAMBLE = _DIGESTED + 8


@dataclass(frozen=True)
class Place:
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
        places: Buckets.
        ends: Where each name ends in `names`.
        sizes: Bytes of each object, -1 where unknown.
        place_numbers: Of each object, its bucket's number in `places`.
        names: All names, without anything between them.
        fingerprint: Hexadecimal digest of buckets, names and sizes, without the clusters.

    Raises:
        ManifestError: It is of another version or byte order.
    """

    def __init__(self, buffer: bytes | mmap.mmap, origin: str) -> None:
        view = memoryview(buffer)
        header, start = self._read_header(view, origin)
        count = header["objects"]
        ends, sizes, numbers = start + 8 * count, start + 16 * count, start + 20 * count
        self.ends = view[start:ends].cast("q")
        self.sizes = view[ends:sizes].cast("q")
        self.place_numbers = view[sizes:numbers].cast("I")
        self.names = view[numbers:]
        self.places = [Place(**place) for place in header["places"]]
        self.fingerprint: str = header["fingerprint"]

    @staticmethod
    def pack(
        places: list[Place], ends: array, sizes: array, numbers: array, names: bytes | bytearray
    ) -> bytes:
        """Return the bytes of a file with these contents."""
        header = {
            "version": _VERSION,
            "byte_order": sys.byteorder,
            "objects": len(ends),
            "places": [asdict(place) for place in places],
            "fingerprint": _fingerprint(places, ends, sizes, numbers, names),
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
            ManifestError: It is none, was cut, or was changed.
        """
        view = memoryview(data)
        if view[: len(_MAGIC)] != _MAGIC:
            raise _error(origin, "is not one")
        if view[len(_MAGIC) : _DIGESTED] != _digest(view[_DIGESTED:]).digest():
            raise _error(origin, "was cut or changed after it was written")

    def _read_header(self, view: memoryview, origin: str) -> tuple[dict, int]:
        end = _PREAMBLE + int.from_bytes(view[_DIGESTED:_PREAMBLE], sys.byteorder)
        header = json.loads(bytes(view[_PREAMBLE:end]))
        made_for = (header["version"], header["byte_order"])
        if made_for != (_VERSION, sys.byteorder):
            raise _error(origin, f"is of version {made_for}, not {(_VERSION, sys.byteorder)}")
        return header, end


class MappedFile:
    """A manifest's file, mapped into memory: processes that use it share its pages.

    Use `stored` and `at`, by which all users of a file in a process share one object.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with Path(path).open("rb") as file:
            self.contents = Contents(
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), repr(path)
            )

    @classmethod
    def stored(cls, data: bytes) -> MappedFile:
        """Write a file into a private temporary folder, which goes with the returned object."""
        folder = tempfile.mkdtemp(prefix="aisdatapipes-manifest-")
        try:
            path = Path(folder, "manifest")
            path.write_bytes(data)
            mapped = cls(str(path))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        remove_with(mapped, folder)
        with _files_lock:
            _files[mapped.path] = mapped
        return mapped

    @classmethod
    def at(cls, path: str, fingerprint: str) -> MappedFile:
        """Return the file that another process, or this one, has stored.

        Raises:
            ManifestError: It is gone, or another one.
        """
        with _files_lock:
            mapped = _files.get(path)
            if mapped is None:
                try:
                    mapped = _files[path] = cls(path)
                except FileNotFoundError:
                    raise ManifestError(
                        f"the manifest {path!r} is gone: a pickle holds its path only, and the "
                        "file goes with the process that made it; use Manifest.save and "
                        "Manifest.load to keep one"
                    ) from None
        if mapped.contents.fingerprint != fingerprint:
            raise ManifestError(f"the manifest {path!r} was replaced by another one: unpickle none")
        return mapped


_files: weakref.WeakValueDictionary[str, MappedFile] = weakref.WeakValueDictionary()
_files_lock = threading.Lock()


def _renew_lock() -> None:
    global _files_lock
    _files_lock = threading.Lock()  # the parent may have held it at the fork


os.register_at_fork(after_in_child=_renew_lock)


def _fingerprint(places: list[Place], *buffers: array | bytes | bytearray) -> str:
    clusters = list(dict.fromkeys(place.cluster for place in places))
    known = [[place.bucket_url, clusters.index(place.cluster)] for place in places]
    return _digest(json.dumps([_VERSION, known]).encode(), *buffers).hexdigest()


def _digest(*buffers: array | memoryview | bytes | bytearray) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for buffer in buffers:
        digest.update(buffer)
    return digest


def _error(origin: str, reason: str) -> ManifestError:
    return ManifestError(f"cannot use the manifest {origin}: it {reason}; build and save it again")
