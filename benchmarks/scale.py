"""Scales: how much there is of everything."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "SMALL", "Scale"]


@dataclass(frozen=True)
class Scale:
    """How much there is of everything.

    Attributes:
        objects: Small objects, of 10 to 60 KB.
        shards: Tar shards.
        samples: Samples in each of them: 35 KB of ``.jpg`` and 3 bytes of ``.cls``.
        names: Objects to list.
        big_samples: Samples in the one big shard.
        files: Small objects of a folder, which are read as files.
        big_mib: MiB of the one big file.
        written_mib: MiB of a file that is written.
        rows: Of the table, in row groups of a tenth.
    """

    objects: int
    shards: int
    samples: int
    names: int
    big_samples: int
    files: int
    big_mib: int
    written_mib: int
    rows: int


FULL = Scale(
    objects=5_000,
    shards=16,
    samples=1_000,
    names=100_000,
    big_samples=57_451,  # 2 GiB
    files=3_000,
    big_mib=1_024,
    written_mib=256,
    rows=1_000_000,
)
SMALL = Scale(
    objects=200,
    shards=2,
    samples=20,
    names=1_000,
    big_samples=100,
    files=60,
    big_mib=4,
    written_mib=20,
    rows=1_000,
)
