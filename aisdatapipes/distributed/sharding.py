"""Sharding: the options of how ranks and workers share the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from aisdatapipes.distributed.partition import Partition, Uneven
from aisdatapipes.distributed.world import Ranks, World, WorldDetector

__all__ = ["Sharding", "ShardingKeywords"]


@dataclass(frozen=True)
class Sharding:
    """How ranks and workers share what a dataset reads.

    Args:
        uneven: What happens if the ranks cannot have equally many: ``"pad"`` repeats a few, so
            that all ranks make equally many steps and DDP never waits in vain; ``"drop"`` leaves
            out a few, for the same; ``"keep"`` gives some ranks more.
        ranks: Whether ranks share at all: ``"auto"`` unless Accelerate shares what its prepared
            loader reads; ``"off"`` never, so that each rank reads everything.
        rank: Number of this process, if it is not to be looked for; then with `world_size`.
        world_size: Number of processes.
        loader_batch_size: How many objects in a row go to one worker. Equal to the batch size of
            the DataLoader, it makes the same batches for any number of workers.

    Raises:
        ValueError: A number is out of its range, only one of `rank` and `world_size` is given,
            or `uneven` is none of the three words.

    Example:
        >>> Sharding(rank=1, world_size=4).detector().world()
        World(rank=1, world_size=4, worker=0, num_workers=1)
    """

    uneven: Uneven = "pad"
    rank: int | None = None
    world_size: int | None = None
    loader_batch_size: int = 1
    ranks: Ranks = "auto"

    def __post_init__(self) -> None:
        self.partition(World())
        self.detector()

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> Sharding:
        """Return what `ShardingKeywords` say; single ones go before ``sharding``."""
        single = {name: value for name, value in keywords.items() if name != "sharding"}
        return replace(keywords.get("sharding") or cls(), **single)

    def partition(self, world: World) -> Partition:
        """Return how positions go to the workers of a world."""
        return Partition(world.world_size, world.num_workers, self.loader_batch_size, self.uneven)

    def of_whole_shards(self) -> Sharding:
        """Return how shards go to workers, whole; what is in them is evened out by samples.

        Raises:
            ValueError: `loader_batch_size` is given, which says how single objects go.
        """
        if self.loader_batch_size != 1:
            raise ValueError(
                f"loader_batch_size is {self.loader_batch_size}: workers get whole shards, so "
                "leave it out; batches are the DataLoader's"
            )
        return replace(self, uneven="keep")

    def detector(self) -> WorldDetector:
        """Return what finds out which of the workers a process is."""
        return WorldDetector(self.rank, self.world_size, self.ranks)


class ShardingKeywords(TypedDict, total=False):
    """The fields of `Sharding`, one by one or together."""

    uneven: Uneven
    rank: int | None
    world_size: int | None
    loader_batch_size: int
    ranks: Ranks
    sharding: Sharding
