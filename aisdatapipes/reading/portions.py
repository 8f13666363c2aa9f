"""Portions: items one after another, as many at a time as a request or a table may have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["portions"]

_T = TypeVar("_T")


def portions(
    items: Iterable[_T],
    size_of: Callable[[_T], int],
    most_bytes: int,
    most_items: int = sys.maxsize,
) -> Iterator[list[_T]]:
    """Yield the items in lists, each of one item at least, and else within both bounds.

    Example:
        >>> list(portions(["a", "bc", "def", "g"], len, 4))
        [['a', 'bc'], ['def', 'g']]
    """
    some: list[_T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if some and (len(some) == most_items or total + size > most_bytes):
            yield some
            some, total = [], 0
        some.append(item)
        total += size
    if some:
        yield some
