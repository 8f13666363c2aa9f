"""What the shards of a case hold, byte by byte, and what can be read of the broken ones."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass
from functools import lru_cache

from support.tars import member, pack

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "pax": tarfile.PAX_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "gzip": tarfile.USTAR_FORMAT,
}
CUTS = ("header", "content")
FAULTS = ("header", "content", "noend", "garbage", "missing", "vanishing")

_LONG_FOLDER = "d" * 120  # takes headers of their own, in pax and in GNU tars
_GARBAGE = b"garbage" * 300
_REPLACED = "R:"


@dataclass(frozen=True)
class Row:
    """One shard of every stream; or one object.

    Attributes:
        count: How many samples it has, when it is whole.
        formats: Of the shard in each stream: a key of `FORMATS`.
        faults: What is wrong with the shard in each stream: one of `FAULTS`, empty for nothing.
        cut: Before which sample cut shards are cut.
        is_apart: Whether the members of a sample are apart, for readers that have an index.
    """

    count: int
    formats: tuple[str, ...] = ("ustar",)
    faults: tuple[str, ...] = ("",)
    cut: int = 0
    is_apart: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether a shard of it cannot be read whole."""
        return any(self.faults)


def base(sample: str) -> str:
    """Return the sample that another one stands in for, or itself."""
    return sample.removeprefix(_REPLACED)


def replaced(sample: str) -> str:
    """Return the sample that an ``on_error`` function has in place of `sample`."""
    return _REPLACED + sample


def samples_of(number: int, row: Row) -> list[str]:
    """Return all samples of a row, in the order of the archive."""
    return [f"{number:02d}-{index}" for index in range(row.count)]


def readable(number: int, row: Row) -> tuple[set[str], set[str]]:
    """Return the samples of a row that have to be given, and those that may or may not be."""
    samples = samples_of(number, row)
    certain, possible = row.count, row.count
    for shard_format, fault in zip(row.formats, row.faults, strict=True):
        least, most = _readable_in(row, shard_format, fault)
        certain, possible = min(certain, least), min(possible, most)
    return set(samples[:certain]), set(samples[certain:possible])


def _readable_in(row: Row, shard_format: str, fault: str) -> tuple[int, int]:
    if not fault:
        return row.count, row.count
    if fault == "noend":  # nothing tells whether the last sample is whole
        return row.count - 1, row.count
    if fault in CUTS:
        return (0, row.count) if shard_format == "gzip" else (row.cut, row.cut)
    return 0, 0


@lru_cache(maxsize=4096)
def shard_content(
    number: int, row: Row, stream: int, *, is_sample: bool, is_replacement: bool = False
) -> bytes:
    """Return the bytes of a shard.

    Args:
        number: Of the row.
        row: What it has.
        stream: Which of its shards.
        is_sample: Whether a sample is two members that share a key, and not one file.
        is_replacement: Whether it is what an ``on_error`` function gives in its place.
    """
    fault = "" if is_replacement else row.faults[stream]
    if fault == "garbage":
        return _GARBAGE
    shard_format = row.formats[stream]
    folder = _LONG_FOLDER if shard_format in ("pax", "gnu") else "d"
    ends = ("a", "b") if is_sample else ("x",)
    mark = _REPLACED if is_replacement else ""
    files = [(sample, end) for sample in samples_of(number, row) for end in ends]
    if row.is_apart:
        files.sort(key=lambda file: ends.index(file[1]))
    members = [
        member(f"{folder}/{sample}.{end}", f"{mark}{stream}|{sample}".encode())
        for sample, end in files
    ]
    archive = pack(members, FORMATS[shard_format])
    if shard_format == "gzip" and fault in CUTS:
        packed = gzip.compress(archive, mtime=0)
        return packed[: len(packed) * 3 // 5]
    archive = _damaged(archive, row, fault, len(ends))
    return gzip.compress(archive, mtime=0) if shard_format == "gzip" else archive


def _damaged(archive: bytes, row: Row, fault: str, members_each: int) -> bytes:
    """Cut an archive: in the last member of the first sample that is not whole, or at its end."""
    if fault == "noend":
        return archive[: -2 * tarfile.BLOCKSIZE]
    if fault not in CUTS:
        return archive
    # Headers of their own may stand before a member's: the cut is in its last one.
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        info = tar.getmembers()[row.cut * members_each + members_each - 1]
    return archive[: info.offset_data + (1 if fault == "content" else -400)]
