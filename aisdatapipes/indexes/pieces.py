"""Pieces: the ranges of shards that samples are in, as few as there can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Piece", "SampleSource", "pieces_of"]

_Range = tuple[int, int, int]
"""A first byte, the byte behind the last one, and the place of the sample that is there."""

_MOST_MERGED_BYTES = 8 * 2**20


@dataclass(slots=True)
class Piece:
    """A range of a shard that is requested as one, with the samples in it.

    Attributes:
        shard: Number of the shard.
        begin: Its first byte.
        end: The byte behind its last one.
        ranges: Of the samples, or parts of samples, in it.
    """

    shard: int
    begin: int
    end: int
    ranges: list[_Range] = field(default_factory=list)

    def takes(self, begin: int, end: int) -> bool:
        """Whether another range of the shard, which begins no earlier, is read with it."""
        return begin < self.end or (begin == self.end and end - self.begin <= _MOST_MERGED_BYTES)


class SampleSource(Protocol):
    """What knows of samples, by numbers, and of their shards, by numbers too."""

    @property
    def has_parts(self) -> bool:
        """Whether members of some sample are apart."""
        ...

    def shard_of(self, sample: int) -> int:
        """Return the number of the shard of a sample."""
        ...

    def range_of(self, sample: int) -> tuple[int, int]:
        """Return where a sample is, its first range if it has several."""
        ...

    def parts_of(self, sample: int) -> Sequence[tuple[int, int]]:
        """Return the further ranges of a sample."""
        ...

    def key(self, sample: int) -> str:
        """Return the key of a sample."""
        ...

    def extensions_of(self, sample: int) -> tuple[str, ...]:
        """Return the extensions of a sample, in the order of its files."""
        ...

    def url_of(self, shard: int) -> str:
        """Return the URL of a shard."""
        ...

    def version_of(self, shard: int) -> str:
        """Return what tells a shard from another one of its name; empty if that is unknown."""
        ...


def pieces_of(index: SampleSource, samples: Sequence[int]) -> list[Piece]:
    """Return the ranges to request, in the order of the shards; those that touch are one.

    Args:
        index: Where the samples are.
        samples: Which; one may come several times.
    """
    wanted: list[tuple[int, int, int, int]] = []
    for place, sample in enumerate(samples):
        shard = index.shard_of(sample)
        wanted.append((shard, *index.range_of(sample), place))
        wanted += [(shard, *part, place) for part in index.parts_of(sample)]
    wanted.sort()
    pieces: list[Piece] = []
    for shard, begin, end, place in wanted:
        last = pieces[-1] if pieces else None
        if last and last.shard == shard and last.takes(begin, end):
            last.end = max(last.end, end)
        else:
            last = Piece(shard, begin, end)
            pieces.append(last)
        last.ranges.append((begin, end, place))
    return pieces
