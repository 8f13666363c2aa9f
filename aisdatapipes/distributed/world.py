"""World: which of the processes that read a dataset together this one is."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist
from torch.utils.data import get_worker_info

__all__ = ["World", "WorldDetector", "has_group"]


@dataclass(frozen=True)
class World:
    """One of the processes that read a dataset together: a worker of a rank.

    Attributes:
        rank: Number of the training process, from 0.
        world_size: How many of these there are.
        worker: Number of the DataLoader worker in it, from 0; 0 too without workers.
        num_workers: How many of these each rank has, at least 1.

    Raises:
        ValueError: A number is out of its range.
    """

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world_size and 0 <= self.worker < self.num_workers):
            raise ValueError(f"no such worker: {self}: ranks and workers count from 0")

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.world_size}, worker {self.worker} of {self.num_workers}"


class WorldDetector:
    """Where a dataset is read: asked for as late as possible, known in every kind of worker.

    Looked for in this order: what was given; ``torch.distributed``, if it is initialised; in a
    spawned DataLoader worker, what held in the process that started it; the environment's
    ``RANK`` and ``WORLD_SIZE``; one process alone.

    Args:
        rank: Number of this process; None to look for it.
        world_size: How many processes there are; None to look for it.

    Raises:
        ValueError: Only one of the two is given, or they do not fit each other.

    Example:
        >>> WorldDetector(rank=1, world_size=4).world()
        World(rank=1, world_size=4, worker=0, num_workers=1)
    """

    def __init__(self, rank: int | None = None, world_size: int | None = None) -> None:
        self._given = _pair(rank, world_size, "rank= and world_size=")
        self._parents: tuple[int, int] | None = None
        self._parent_pid = 0

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has no process group, so this process answers for it.
        return {"_given": self._given, "_parents": self.rank(), "_parent_pid": os.getpid()}

    def rank(self) -> tuple[int, int]:
        """Return rank and world size, as they are now.

        Raises:
            ValueError: The environment has only one of ``RANK`` and ``WORLD_SIZE``, or no numbers.
        """
        if self._given:
            return self._given
        if has_group():
            return dist.get_rank(), dist.get_world_size()
        return self._inherited() or _rank_of_environment() or (0, 1)

    def world(self) -> World:
        """Return the place of this process, as it is now."""
        worker = get_worker_info()
        return World(*self.rank(), *((worker.id, worker.num_workers) if worker else (0, 1)))

    def _inherited(self) -> tuple[int, int] | None:
        """What the pickle says, if it was made for this worker, and not to start a rank."""
        parent = multiprocessing.parent_process()
        is_ours = get_worker_info() and parent and parent.pid == self._parent_pid
        return self._parents if is_ours else None


def has_group() -> bool:
    """Whether this process belongs to a process group of ``torch.distributed``."""
    return dist.is_available() and dist.is_initialized()


def _rank_of_environment() -> tuple[int, int] | None:
    texts = [os.environ.get(name) or None for name in ("RANK", "WORLD_SIZE")]
    try:
        rank, world_size = (None if text is None else int(text) for text in texts)
    except ValueError:
        raise ValueError(
            f"RANK={texts[0]} and WORLD_SIZE={texts[1]} in the environment are not both numbers: "
            "set them right, or pass rank= and world_size="
        ) from None
    return _pair(rank, world_size, "RANK and WORLD_SIZE in the environment, or rank= and ...,")


def _pair(rank: int | None, world_size: int | None, names: str) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(
            f"rank {rank} of world size {world_size}: set both of {names} with 0 <= rank < size"
        )
    return rank, world_size
