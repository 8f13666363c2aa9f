"""DataLoaders that are left early, or fail: their workers have to go at once."""

from __future__ import annotations

import gc
import multiprocessing

from torch.utils.data.dataloader import _BaseDataLoaderIter

__all__ = ["end_workers"]


def end_workers() -> None:
    """End the workers of all DataLoaders of this process.

    An iterator of torch is in a circle, also with the error that it has raised. When the garbage
    collector finds it, maybe in some other test, the queues to the workers may be closed before
    torch can tell them to end, and torch waits five seconds for each.
    """
    if multiprocessing.active_children():
        for one in gc.get_objects():
            if issubclass(type(one), _BaseDataLoaderIter) and hasattr(one, "_shutdown_workers"):
                one._shutdown_workers()
