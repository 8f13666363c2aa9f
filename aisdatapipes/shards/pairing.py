"""Pairing: which files of several streams of shards belong together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from aisdatapipes.errors import BadArchiveError, UnequalStreamsError
from aisdatapipes.shards.counts import UNKNOWN_COUNT

__all__ = ["Pairing"]


class Pairing:
    """The n-th tuple has the n-th file of every stream; says where these are.

    The tuples are dealt in units: those of which the first stream has the files in one shard.

    Args:
        counts: Files in each shard, for every stream; `UNKNOWN_COUNT` for one that cannot be
            read, which is worked out from the other streams.
        names: What to call the streams.
        strict: Whether the streams must have equally many files; else the shortest one says how
            many tuples there are.

    Attributes:
        counts: As given, none of them unknown.
        lengths: Files of each stream.
        total: Number of tuples.

    Raises:
        UnequalStreamsError: The streams have not equally many files, and `strict` is on.
        BadArchiveError: A shard cannot be read, and nothing tells how many files it had.

    Example:
        >>> pairing = Pairing([[3, 5], [4, 4]], ["images", "masks"])
        >>> pairing.unit(1), pairing.place(1, 3), pairing.shards(1, 3, 8)
        (range(3, 8), (0, 3), [0, 1])
    """

    def __init__(
        self, counts: Sequence[Sequence[int]], names: Sequence[str], *, strict: bool = True
    ) -> None:
        self.counts = _completed(counts, names, strict=strict)
        self._begins = [list(accumulate(one, initial=0)) for one in self.counts]
        self.lengths = [begins[-1] for begins in self._begins]
        self.total = min(self.lengths)
        if strict and self.total < max(self.lengths):
            raise UnequalStreamsError(
                f"the streams have not equally many files: {_listed(names, self.lengths)}; mend "
                "them, or stop at the end of the shortest with strict=False"
            )

    @property
    def left_out(self) -> int:
        """How many files of all streams are behind the end of the shortest."""
        return sum(self.lengths) - self.total * len(self.lengths)

    def unit(self, number: int) -> range:
        """Return the numbers of the tuples of a unit."""
        begin, end = self._begins[0][number : number + 2]
        return range(min(begin, self.total), min(end, self.total))

    def unit_sizes(self) -> list[int]:
        """Return how many tuples each unit has."""
        return [len(self.unit(number)) for number in range(len(self.counts[0]))]

    def place(self, stream: int, number: int) -> tuple[int, int]:
        """Return which shard of a stream has the file of a tuple, and how many are before it."""
        shard = bisect_right(self._begins[stream], number) - 1
        return shard, number - self._begins[stream][shard]

    def shards(self, stream: int, begin: int, end: int) -> list[int]:
        """Return the shards of a stream that have files of the tuples from `begin` to `end`."""
        first, last = (self.place(stream, number)[0] for number in (begin, end - 1))
        return [shard for shard in range(first, last + 1) if self.counts[stream][shard]]


def _completed(
    counts: Sequence[Sequence[int]], names: Sequence[str], *, strict: bool
) -> list[list[int]]:
    """Return the counts without unknown ones."""
    found = [list(one) for one in counts]
    incomplete = [number for number, one in enumerate(found) if UNKNOWN_COUNT in one]
    if incomplete and _are_aligned(found):
        # Unreadable in all streams, it moves none of them against the others.
        return [[max(max(row), 0) for row in zip(*found, strict=True)]] * len(found)
    complete = [sum(one) for one in found if UNKNOWN_COUNT not in one]
    for number in incomplete:
        one = found[number]
        missing = complete[0] - sum(count for count in one if count > 0) if complete else -1
        if not strict or one.count(UNKNOWN_COUNT) > 1 or missing < 0:
            raise BadArchiveError(
                f"shard {one.index(UNKNOWN_COUNT)} of {names[number]} cannot be read, and the "
                "other streams do not tell how many files it had, so nothing behind it can be "
                "paired: mend it, or see why by on_error='raise'"
            )
        one[one.index(UNKNOWN_COUNT)] = missing
    return found


def _are_aligned(counts: list[list[int]]) -> bool:
    """Whether the shards of the same number have equally many files, as far as is known."""
    if len({len(one) for one in counts}) > 1:
        return False
    known = ({count for count in row if count >= 0} for row in zip(*counts, strict=True))
    return all(len(row) <= 1 for row in known)


def _listed(names: Sequence[str], lengths: Sequence[int]) -> str:
    def texts() -> Iterator[str]:
        for name, length in zip(names, lengths, strict=True):
            yield f"{name} has {length}"

    return ", ".join(texts())
