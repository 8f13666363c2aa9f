"""Callers: who is reading a dataset, where neither torch nor a trainer tells it.

A trainer may share what a loader gives among its ranks by itself, and torch makes a number of
batches of a dataset's number of samples. Neither says so to the dataset; but while it happens,
theirs are the functions that call it. That holds in forked workers too, which are copies of the
process in the middle of the call. A dataset that is pickled for a worker is asked in that call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

__all__ = [
    "Caller",
    "accelerate_batch_size",
    "accelerate_reads_in_every_rank",
    "accelerate_shares",
    "callers",
]

_ACCELERATE = "accelerate.data_loader"
_DISPATCHER = "DataLoaderDispatcher"


@dataclass(frozen=True)
class Caller:
    """A function that is being executed.

    Attributes:
        frame: Its frame.
    """

    frame: FrameType

    @property
    def module(self) -> str:
        """Name of its module."""
        return self.frame.f_globals.get("__name__", "")

    @property
    def function(self) -> str:
        """Its name."""
        return self.frame.f_code.co_name

    @property
    def owner(self) -> Any:
        """What its ``self`` is; None without one.

        Not to be asked of the user's functions: a frame that was asked for its variables may keep
        them alive for as long as it runs.
        """
        return self.frame.f_locals.get("self")


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
        yield Caller(frame)
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
            if caller.module == _ACCELERATE and type(caller.owner).__name__ == _DISPATCHER:
                return caller.owner.base_dataloader.batch_size or 0
    return 0


def accelerate_reads_in_every_rank() -> bool:
    """Whether every rank reads everything, and Accelerate takes the rank's part of it.

    Source:
        ``IterableDatasetShard`` of ``accelerate.data_loader``.
    """
    return _ACCELERATE in sys.modules and any(
        caller.module == _ACCELERATE and type(caller.owner).__name__ == "IterableDatasetShard"
        for caller in callers()
    )
