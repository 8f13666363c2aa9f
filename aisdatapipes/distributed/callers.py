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

__all__ = ["Caller", "accelerate_batch_size", "accelerate_shares", "callers"]

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


def accelerate_batch_size() -> int:
    """Return the batch size of a loader whose batches Accelerate's first rank reads for all; or 0.

    What it cannot share equally of a batch, it cuts off, but for the last batch of an epoch.

    Source:
        ``DataLoaderDispatcher`` of ``accelerate.data_loader``.
    """
    if _ACCELERATE in sys.modules:
        for caller in callers():
            if type(caller.owner).__name__ == "DataLoaderDispatcher":
                return caller.owner.base_dataloader.batch_size or 0
    return 0
