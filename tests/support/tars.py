"""What the tests know of tars: how to make them, usual and unusual ones."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from aisdatapipes.tar import TarReader

SPARSE_FORMATS = ["gnu", "pax 0.0", "pax 0.1", "pax 1.0"]
URL = "ais://imagenet/0.tar"


def member(name: str, content: bytes = b"", **header: object) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member for `pack`, with attributes of its `tarfile.TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in header.items():
        setattr(info, key, value)
    return info, content


def pack(
    members: list[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.USTAR_FORMAT
) -> bytes:
    """Return a tar, up to its end mark."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
        end = tar.offset + 2 * tarfile.BLOCKSIZE
    return file.getvalue()[:end].ljust(end, b"\0")


def edited(header: bytes, fields: dict[int, bytes]) -> bytes:
    """Return a header with other bytes at some offsets, and the checksum that fits."""
    block = bytearray(header)
    for offset, value in fields.items():
        block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def sparse(tar_format: str) -> bytes:
    """Return a tar of ``holes``, ten bytes at 0 and at 1000, in one of GNU tar's formats."""
    data = b"0123456789" * 2
    if tar_format == "gnu":
        chunks = b"".join(b"%011o\0" % number for number in (0, 10, 1000, 10))
        archive = pack([member("holes", data), member("after", b"z")], tarfile.GNU_FORMAT)
        fields = {156: b"S", 386: chunks, 483: b"%011o\0" % 1010}
        return edited(archive[:512], fields) + archive[512:]
    headers = {
        "pax 0.0": {"size": "1010", "numblocks": "2"},
        "pax 0.1": {"map": "0,10,1000,10", "size": "1010", "name": "holes"},
        "pax 1.0": {"major": "1", "minor": "0", "realsize": "1010", "name": "holes"},
    }[tar_format]
    headers = {f"GNU.sparse.{key}": value for key, value in headers.items()}
    # The only format whose name is the file's own, and which repeats keys.
    name = "holes" if tar_format == "pax 0.0" else "GNUSparseFile.0/holes"
    chunk_map = b"2\n0\n10\n1000\n10\n".ljust(512, b"\0") if tar_format == "pax 1.0" else b""
    holes = member(name, chunk_map + data, pax_headers=headers)
    archive = pack([holes, member("after", b"z")], tarfile.PAX_FORMAT)
    return with_chunks(archive) if tar_format == "pax 0.0" else archive


def with_chunks(archive: bytes) -> bytes:
    """Return a tar whose first pax header has pairs of records more, for GNU tar's format 0.0."""
    chunks = [("offset", 0), ("numbytes", 10), ("offset", 1000), ("numbytes", 10)]
    texts = [f" GNU.sparse.{key}={number}\n" for key, number in chunks]
    more = "".join(f"{len(text) + 2}{text}" for text in texts).encode()
    old = archive[512:1024].rstrip(b"\0")
    size = {124: b"%011o\0" % len(old + more)}
    return edited(archive[:512], size) + (old + more).ljust(512, b"\0") + archive[1024:]


def shard(first: int, count: int) -> bytes:
    """Return a shard of samples ``train/0007`` with a ``.jpg`` and a ``.cls``."""
    names = [f"train/{n:04d}" for n in range(first, first + count)]
    members = [member(f"{n}.{end}", f"{end} {n}".encode()) for n in names for end in ("jpg", "cls")]
    return pack(members)


def contents(archive: bytes) -> list[tuple[str, bytes]]:
    """Return the files of a tar called `URL` as our reader reads them."""
    return [file[:2] for file in TarReader(io.BytesIO(archive), URL).files()]


def expected(archive: bytes) -> list[tuple[str, bytes]]:
    """Return the files as `tarfile` reads them."""
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
        return [(m.name, file.read()) for m in tar if m.isreg() and (file := tar.extractfile(m))]


class Trickle(io.RawIOBase):
    """A file that gives 1, 2, … up to `most` bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file, self._most, self._reads = io.BytesIO(data), most, 0

    def read(self, size: int = -1, /) -> bytes:
        """Return a little."""
        self._reads += 1
        return self._file.read(min(size, 1 + self._reads % self._most))


def sample(number: int, url: str) -> dict[str, Any]:
    """Return the sample that `shard` makes for a number."""
    key = f"train/{number:04d}"
    contents = {end: f"{end} {key}".encode() for end in ("jpg", "cls")}
    return {"__key__": key, "__url__": url} | contents
