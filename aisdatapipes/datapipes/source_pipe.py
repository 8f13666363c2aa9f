"""What a pipe is given to read from: another pipe, or any iterable of URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from torch.utils.data import IterDataPipe
from torch.utils.data.datapipes.iter import IterableWrapper

__all__ = ["as_pipe"]

T = TypeVar("T")


def as_pipe(source: Iterable[T]) -> IterDataPipe[T]:
    """Return `source` as a pipe; torch would put a list into its errors, with all it holds.

    Raises:
        TypeError: It is a single string, whose characters would be taken for URLs, or no
            iterable at all.

    Example:
        >>> list(as_pipe(["ais://imagenet/"]))
        ['ais://imagenet/']
    """
    if isinstance(source, (str, bytes)):
        raise TypeError(f"a list of URLs is needed, not one: write [{source!r}]")
    if not isinstance(source, Iterable):
        raise TypeError(f"a pipe or list of URLs is needed, not a {type(source).__name__}")
    return source if isinstance(source, IterDataPipe) else IterableWrapper(source, deepcopy=False)
