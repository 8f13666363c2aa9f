"""Ranked sampler: what samplers have that deal what they choose to the ranks of a job."""

from __future__ import annotations

from typing import TypeVar

from torch.utils.data import Sampler

from aisdatapipes.distributed.partition import Partition, Uneven
from aisdatapipes.distributed.world import World, WorldDetector

__all__ = ["RankedSampler"]

T_co = TypeVar("T_co", covariant=True)


class RankedSampler(Sampler[T_co]):
    """A sampler that knows its rank, and which epoch comes next.

    Args:
        rank: Number of this process; default that of ``torch.distributed``, else ``$RANK``.
        world_size: How many processes there are; default likewise.
        uneven: What happens where the ranks cannot have equally many.

    Attributes:
        epoch: Which one comes next.

    Raises:
        ValueError: A number is out of its range, or `uneven` is none of the three.
    """

    def __init__(self, rank: int | None, world_size: int | None, uneven: Uneven) -> None:
        Partition(uneven=uneven)  # refuses what is none of the three now, not in the first epoch
        self._uneven: Uneven = uneven
        self._detector = WorldDetector(rank, world_size)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the epoch that comes next, as `DistributedSampler` does.

        Raises:
            ValueError: `epoch` is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch is {epoch}: epochs count from 0")
        self.epoch = epoch

    def _world(self) -> World:
        return World(*self._detector.rank())

    def _partition(self) -> Partition:
        return Partition(self._world().world_size, uneven=self._uneven)
