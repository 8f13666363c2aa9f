"""Cutting: which objects make up a read task."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate, pairwise

__all__ = ["cut"]

_OBJECT_BYTES = 32 * 2**10
"""What an object costs beside its bytes, in bytes that are read in the same time."""


def cut(sizes: Iterable[int], parts: int) -> list[range]:
    """Divide objects into runs of about equally much work, in order; none is empty.

    Args:
        sizes: Their bytes.
        parts: How many runs there are, or fewer, where an object is more than such a part.

    Example:
        >>> cut([100, 100, 10**6, 100], 2)
        [range(0, 3), range(3, 4)]
        >>> cut([0, 0, 0], 5)
        [range(0, 1), range(1, 2), range(2, 3)]
    """
    ends = list(accumulate(size + _OBJECT_BYTES for size in sizes))
    shares = (ends[-1] * part // parts for part in range(1, parts)) if ends else ()
    borders = sorted({0, *(bisect_left(ends, share) + 1 for share in shares), len(ends)})
    return [range(first, last) for first, last in pairwise(borders)]
