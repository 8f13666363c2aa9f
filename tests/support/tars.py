"""What the tests know of tars: how to make them, usual and unusual ones."""

from __future__ import annotations

import io
import tarfile
from typing import Any

SPARSE_FORMATS = ["gnu", "pax 0.1", "pax 1.0"]


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
        "pax 0.1": {"map": "0,10,1000,10", "size": "1010", "name": "holes"},
        "pax 1.0": {"major": "1", "minor": "0", "realsize": "1010", "name": "holes"},
    }[tar_format]
    headers = {f"GNU.sparse.{key}": value for key, value in headers.items()}
    chunk_map = b"2\n0\n10\n1000\n10\n".ljust(512, b"\0") if tar_format == "pax 1.0" else b""
    holes = member("GNUSparseFile.0/holes", chunk_map + data, pax_headers=headers)
    return pack([holes, member("after", b"z")], tarfile.PAX_FORMAT)


def shard(first: int, count: int) -> bytes:
    """Return a shard of samples ``train/0007`` with a ``.jpg`` and a ``.cls``."""
    names = [f"train/{n:04d}" for n in range(first, first + count)]
    members = [member(f"{n}.{end}", f"{end} {n}".encode()) for n in names for end in ("jpg", "cls")]
    return pack(members)


def sample(number: int, url: str) -> dict[str, Any]:
    """Return the sample that `shard` makes for a number."""
    key = f"train/{number:04d}"
    contents = {end: f"{end} {key}".encode() for end in ("jpg", "cls")}
    return {"__key__": key, "__url__": url} | contents
