"""Partition: how the positions of an epoch go to ranks and workers, and what a stop leaves.

Rank r of W takes the places r, r + W, r + 2 W, … of the epoch's order. Its W-th part goes to
its K workers in runs, so that, with runs as long as the batches, a DataLoader makes the same
batches for any number of workers. With ``"pad"`` and ``"drop"`` all ranks get equally many
positions, and so do all workers of the same number: they make equally many steps, whatever the
size of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from aisdatapipes.distributed.world import World

__all__ = ["Partition", "Slice", "Uneven"]

Uneven = Literal["pad", "drop", "keep"]
"""What happens where the ranks cannot have equally many: some positions come ``"pad"`` twice, or
are ``"drop"``ped; with ``"keep"`` some ranks have one more, and DDP may wait for it forever."""


@dataclass(frozen=True)
class Slice:
    """What one worker reads.

    Attributes:
        positions: In order.
        padding: How many of them, at the end, are another worker's, to even out the ranks.
    """

    positions: torch.Tensor
    padding: int = 0

    @property
    def own(self) -> torch.Tensor:
        """The positions without the padding."""
        return self.positions[: len(self.positions) - self.padding]

    def reordered(self, order: torch.Tensor) -> Slice:
        """Return the slice with its own positions in another order."""
        padding = self.positions[len(self.own) :]
        return Slice(torch.cat([self.own[order], padding]), self.padding)


@dataclass(frozen=True)
class Partition:
    """How an order goes to the workers of all ranks.

    Args:
        world_size: Number of ranks.
        num_workers: Number of workers of each rank.
        run: How many positions in a row one worker of a rank gets.
        uneven: See `Uneven`.

    Raises:
        ValueError: A number is less than 1, or `uneven` is none of the three.

    Example:
        >>> partition = Partition(world_size=2, num_workers=2, run=2)
        >>> for worker in partition.workers():
        ...     print(worker, partition.slice(torch.arange(9), worker).positions.tolist())
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

    def worker(self, rank: int, worker: int) -> World:
        """Return the worker with these numbers.

        Raises:
            ValueError: There is none.
        """
        return World(rank, self.world_size, worker, self.num_workers)

    def workers(self) -> list[World]:
        """Return every worker: all ranks' worker 0, then all ranks' worker 1, …."""
        numbers = [(r, w) for w in range(self.num_workers) for r in range(self.world_size)]
        return [self.worker(*both) for both in numbers]

    def rank_size(self, count: int, rank: int = 0) -> int:
        """Return how many of `count` positions this rank gets, all its workers together."""
        if self.uneven == "keep":
            return len(range(rank, count, self.world_size))
        return -(-count // self.world_size) if self.uneven == "pad" else count // self.world_size

    def worker_sizes(self, count: int, rank: int = 0) -> list[int]:
        """Return how many of `count` positions each worker of this rank gets.

        Example:
            >>> Partition(num_workers=2, run=2).worker_sizes(5)
            [3, 2]
        """
        in_rank = torch.arange(self.rank_size(count, rank))
        workers = in_rank // self.run % self.num_workers
        return torch.bincount(workers, minlength=self.num_workers).tolist()

    def dropped(self, count: int) -> int:
        """Return how many of `count` positions no rank gets."""
        return count % self.world_size if self.uneven == "drop" else 0

    def slice(self, order: torch.Tensor, worker: World) -> Slice:
        """Return the part of `order` that `worker` reads."""
        count = len(order)
        in_rank = torch.arange(self.rank_size(count, worker.rank))
        mine = in_rank[(in_rank // self.run) % self.num_workers == worker.worker]
        places = worker.rank + self.world_size * mine
        # Only the last one can be beyond the end: it is the first rank's, from the beginning.
        padding = int((places >= count).sum())
        return Slice(order[places % max(count, 1)], padding)

    def remaining(
        self,
        order: torch.Tensor,
        consumed: Sequence[int],
        order_of: Callable[[World, int], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return what is left of an order: all but what its workers have consumed, in order.

        A position that is padding too counts where it came first; a dropped one remains.

        Args:
            order: What went to the workers.
            consumed: How many positions of its slice each has consumed, in their order.
            order_of: Returns in which order a worker has read its own positions, so many of them;
                None if all were read in the order in which they are.

        Example:
            >>> Partition(world_size=2).remaining(torch.arange(6), [2, 1]).tolist()
            [3, 4, 5]
        """
        ranks, workers, run = self.world_size, self.num_workers, self.run
        place = torch.arange(len(order))
        in_rank = place // ranks
        worker = (in_rank // run) % workers * ranks + place % ranks
        in_slice = in_rank // (run * workers) * run + in_rank % run
        if order_of:
            for number, one in enumerate(self.workers()):
                given = place[(worker == number) & (in_rank < self.rank_size(len(order), one.rank))]
                in_slice[given[order_of(one, len(given))]] = torch.arange(len(given))
        return order[in_slice >= torch.tensor(consumed)[worker]]
