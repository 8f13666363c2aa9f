"""Callers: who is reading a dataset, where neither torch nor a trainer tells it.

A trainer may share what a loader gives among its ranks by itself, and torch makes a number of
batches of a dataset's number of samples. Neither says so to the dataset; but while it happens,
theirs are the functions that call it. That holds in forked workers too, which are copies of the
process in the middle of the call. A dataset that is pickled for a worker is asked in that call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Caller", "accelerate_cuts_batches", "accelerate_shares", "callers"]

_ACCELERATE = "accelerate.data_loader"


class Caller(NamedTuple):
    """A function that is being executed.

    Attributes:
        module: Name of its module.
        function: Its name.
        owner: What its ``self`` is; None without one.
    """

    module: str
    function: str
    owner: Any


def callers() -> Iterator[Caller]:
    """Yield who called the function that asks, and who called that one, ….

    Example:
        >>> class Box:
        ...     def __len__(self):
        ...         return len([caller.function for caller in callers()][:1])
        >>> len(Box())
        1
    """
    frame = sys._getframe(2)
    while frame:
        owner = frame.f_locals.get("self")
        yield Caller(frame.f_globals.get("__name__", ""), frame.f_code.co_name, owner)
        frame = frame.f_back


def accelerate_shares() -> bool:
    """Whether a loader that Hugging Face Accelerate has prepared is what reads, or asks.

    Such a loader reads everything in every rank, or in the first one for all, and gives each rank
    its part; so nobody else may share between ranks.

    Source:
        ``IterableDatasetShard`` and ``DataLoaderDispatcher`` of ``accelerate.data_loader``.
    """
    return _ACCELERATE in sys.modules and any(one.module == _ACCELERATE for one in callers())


def accelerate_cuts_batches() -> bool:
    """Whether Accelerate's first rank reads for all, and cuts what is left over of a batch.

    It completes the last batch of an epoch only, while every worker may end with a part of one.
    """
    return _ACCELERATE in sys.modules and any(
        type(one.owner).__name__ == "DataLoaderDispatcher" for one in callers()
    )
