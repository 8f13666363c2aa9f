"""Loader length: the number of samples of which torch makes the right number of batches.

A DataLoader asks an iterable dataset for its number of samples, and takes as many batches as it
would need for these if it had one worker. But every worker ends with a batch that may be partly
full, so more come, and a trainer that counts would stop too early. What is returned to a loader
is therefore a number of samples that makes the number of its batches come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import dropwhile
from typing import Any

from torch.utils.data import DataLoader

from aisdatapipes.distributed.callers import callers

__all__ = ["length_for_caller"]


def length_for_caller(
    sizes: Callable[[int], Sequence[int]], vary: Callable[[int], bool] = lambda _: False
) -> int:
    """Return what ``__len__`` has to return to whoever asks.

    Args:
        sizes: Returns for a number of workers how many samples each of them has.
        vary: Returns for a number of workers whether these differ from epoch to epoch.

    Returns:
        To a `DataLoader`, and to one that Accelerate prepared, the number that gives its number
        of batches. To anybody else the number of samples.

    Raises:
        TypeError: A loader asks, and no number can be right: they vary, or several workers read
            another dataset that has this one.
    """
    asking: list[Any] = []
    for caller in dropwhile(lambda caller: caller.function != "__len__", callers()):
        if caller.function != "__len__":
            break
        if isinstance(caller.owner, DataLoader):
            if vary(max(caller.owner.num_workers, 1)):
                raise TypeError(
                    "how many batches there are differs from epoch to epoch, as shards of "
                    "different sizes are shuffled among workers or ranks: count them"
                )
            return _length_for_loader(caller.owner, asking[1:], sizes)
        asking.append(caller.owner)
    return sum(sizes(1))


def _length_for_loader(
    loader: DataLoader[Any], between: Sequence[Any], sizes: Callable[[int], Sequence[int]]
) -> int:
    own = sizes(max(loader.num_workers, 1))
    if loader.batch_size is None:
        return sum(own)
    samples = loader.batch_size
    for dataset in between:
        if hasattr(dataset, "num_processes"):  # Accelerate's: a batch for each process
            samples *= dataset.num_processes
        elif len(own) > 1:
            raise TypeError(
                f"how many batches {len(own)} workers make of {type(dataset).__name__} cannot be "
                "told: count them, or use one worker"
            )
    batches = sum(size // samples if loader.drop_last else -(-size // samples) for size in own)
    one_worker = sum(own) // samples if loader.drop_last else -(-sum(own) // samples)
    return sum(own) if batches == one_worker else batches * samples
