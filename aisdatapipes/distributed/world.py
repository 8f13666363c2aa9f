"""World: which of the processes that read a dataset together this one is."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch.distributed as dist
from torch.utils.data import get_worker_info

from aisdatapipes.distributed.callers import accelerate_shares

__all__ = ["RankUnknownError", "Ranks", "World", "WorldDetector", "has_group"]

Ranks = Literal["auto", "off"]
"""Whether ranks share what is read: ``"auto"`` if nobody else sees to it, ``"off"`` never."""


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
    ``RANK`` and ``WORLD_SIZE``; one process alone. Where Accelerate gives the ranks their parts of
    what is read, it is one process alone too.

    Args:
        rank: Number of this process; None to look for it.
        world_size: How many processes there are; None to look for it.
        ranks: See `Ranks`.

    Raises:
        ValueError: Only one of the two is given, they do not fit each other, or they are given
            and `ranks` is ``"off"``.

    Example:
        >>> WorldDetector(rank=1, world_size=4).world()
        World(rank=1, world_size=4, worker=0, num_workers=1)
    """

    def __init__(
        self, rank: int | None = None, world_size: int | None = None, ranks: Ranks = "auto"
    ) -> None:
        self._given = _pair(rank, world_size, "rank= and world_size=")
        if ranks not in get_args(Ranks):
            raise ValueError(f"ranks is {ranks!r}: give 'auto' or 'off'")
        if self._given and ranks == "off":
            raise ValueError(f"rank={rank} and ranks='off': give one of them")
        self._ranks = ranks
        self._parents: tuple[int, int] | None = None
        self._parent_pid = 0

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has no process group, so this process answers for it.
        try:
            parents = self.rank()
        except RankUnknownError:  # perhaps it is known where the copy is used
            parents = None
        return {**vars(self), "_parents": parents, "_parent_pid": os.getpid()}

    def rank(self) -> tuple[int, int]:
        """Return rank and world size, as they are now.

        Raises:
            ValueError: The environment has only one of ``RANK`` and ``WORLD_SIZE``, or no numbers;
                or rank and world size were given, and Accelerate shares too.
        """
        if accelerate_shares():
            self._refuse_two_parties()
            return 0, 1
        if self._ranks == "off":
            return 0, 1
        if self._given:
            return self._given
        if has_group():
            return dist.get_rank(), dist.get_world_size()
        return self._inherited() or _rank_of_environment() or (0, 1)

    def known_rank(self) -> tuple[int, int]:
        """Return rank and world size; the size may be known before the rank is, which is 0 then.

        Raises:
            ValueError: As for `rank`.
        """
        try:
            return self.rank()
        except RankUnknownError as error:
            return 0, error.world_size

    def _refuse_two_parties(self) -> None:
        if self._given and self._given[1] > 1:
            raise ValueError(
                f"rank={self._given[0]} and world_size={self._given[1]} are given, and Accelerate "
                "gives each rank its part of what this reads too: leave them out, or leave the "
                "DataLoader out of accelerator.prepare()"
            )

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


class RankUnknownError(ValueError):
    """There are several ranks, and this process does not know yet which it is."""

    def __init__(self, message: str, world_size: int = 1) -> None:
        super().__init__(message)
        self.world_size = world_size


def _rank_of_environment() -> tuple[int, int] | None:
    texts = [os.environ.get(name) or None for name in ("RANK", "WORLD_SIZE")]
    try:
        rank, world_size = (None if text is None else int(text) for text in texts)
    except ValueError:
        raise ValueError(
            f"RANK={texts[0]} and WORLD_SIZE={texts[1]} in the environment are not both numbers: "
            "set them right, or pass rank= and world_size="
        ) from None
    if rank is None and world_size == 1:
        return None
    if rank is None and world_size is not None and world_size > 1:
        raise RankUnknownError(
            f"WORLD_SIZE={world_size} is in the environment, but no RANK, and there is no process "
            "group yet: Lightning and others make it later, so read inside of fit(); or set RANK, "
            "pass rank= and world_size=, or ranks='off' to read everything here",
            world_size,
        )
    return _pair(rank, world_size, "RANK and WORLD_SIZE in the environment, or rank= and ...,")


def _pair(rank: int | None, world_size: int | None, names: str) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(
            f"rank {rank} of world size {world_size}: set both of {names} with 0 <= rank < size"
        )
    return rank, world_size
