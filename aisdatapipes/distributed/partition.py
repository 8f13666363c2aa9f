"""Sharding: dealing the positions of an epoch to lanes, and what remains after a stop.

Rank r of W takes the places r, r + W, r + 2 W, … of the epoch's order. Its W-th part is dealt to
its K workers in runs, so that, with runs as long as the batches, a DataLoader makes the same
batches for any number of workers. All ranks get equally many positions, and so do all workers
of the same number: they make equally many steps, whatever the size of the batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from aisdatapipes.distributed.world import Lane

__all__ = ["Dealing", "Share", "Uneven", "remaining"]

Uneven = Literal["pad", "drop", "keep"]
"""What happens where the ranks cannot have equally many: some positions come ``"pad"`` twice, or
are ``"drop"``ped; with ``"keep"`` some ranks have one more, and DDP may wait for it forever."""


@dataclass(frozen=True)
class Share:
    """What one lane reads.

    Attributes:
        positions: In order.
        repeats_last: Whether the last one is there to even out the ranks, and is another's.
    """

    positions: torch.Tensor
    repeats_last: bool = False


@dataclass(frozen=True)
class Dealing:
    """How an order is dealt.

    Args:
        world_size: Number of ranks.
        num_workers: Number of workers of each rank.
        run: How many positions in a row one worker of a rank gets.
        uneven: See `Uneven`.

    Raises:
        ValueError: A number is less than 1, or `uneven` is none of the three.

    Example:
        >>> dealing = Dealing(world_size=2, num_workers=2, run=2)
        >>> for lane in dealing.lanes():
        ...     print(lane, dealing.share(torch.arange(9), lane).positions.tolist())
        rank 0 of 2, worker 0 of 2 [0, 2, 8]
        rank 1 of 2, worker 0 of 2 [1, 3, 0]
        rank 0 of 2, worker 1 of 2 [4, 6]
        rank 1 of 2, worker 1 of 2 [5, 7]
    """

    world_size: int = 1
    num_workers: int = 1
    run: int = 1
    uneven: Uneven = "pad"

    def __post_init__(self) -> None:
        if min(self.world_size, self.num_workers, self.run) < 1:
            raise ValueError(f"{self}: ranks, workers and loader_batch_size are at least 1")
        if self.uneven not in get_args(Uneven):
            raise ValueError(f"uneven is {self.uneven!r}: give 'pad', 'drop' or 'keep'")

    def lanes(self) -> list[Lane]:
        """Return every lane: all ranks of worker 0, then those of worker 1, …."""
        return [
            Lane(rank, self.world_size, worker, self.num_workers)
            for worker in range(self.num_workers)
            for rank in range(self.world_size)
        ]

    def rank_size(self, count: int, rank: int = 0) -> int:
        """Return how many of `count` positions this rank gets, all its workers together."""
        if self.uneven == "keep":
            return len(range(rank, count, self.world_size))
        return -(-count // self.world_size) if self.uneven == "pad" else count // self.world_size

    def share(self, order: torch.Tensor, lane: Lane) -> Share:
        """Return the part of `order` that `lane` reads."""
        count = len(order)
        in_rank = torch.arange(self.rank_size(count, lane.rank))
        mine = in_rank[(in_rank // self.run) % self.num_workers == lane.worker]
        places = lane.rank + self.world_size * mine
        repeats = len(places) > 0 and bool(places[-1] >= count)
        return Share(order[places % max(count, 1)], repeats)


def remaining(order: torch.Tensor, dealing: Dealing, consumed: list[int]) -> torch.Tensor:
    """Return what is left of a dealt order: all but what its lanes have consumed, in order.

    A repeated position counts where it was first dealt; a dropped one remains.

    Args:
        order: What was dealt.
        dealing: How.
        consumed: How many of its positions each lane has consumed, in the order of the lanes.

    Example:
        >>> remaining(torch.arange(6), Dealing(world_size=2), [2, 1]).tolist()
        [3, 4, 5]
    """
    ranks, workers, run = dealing.world_size, dealing.num_workers, dealing.run
    place = torch.arange(len(order))
    in_rank = place // ranks
    lane = (in_rank // run) % workers * ranks + place % ranks
    in_lane = in_rank // (run * workers) * run + in_rank % run
    return order[in_lane >= torch.tensor(consumed)[lane]]
