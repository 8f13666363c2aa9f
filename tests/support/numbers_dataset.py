"""A dataset that reads nothing: the positions of `Epochs` themselves, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset

from aisdatapipes.distributed.world import Placement
from aisdatapipes.epochs.epochs import EpochOptions, Epochs


class Numbers(IterableDataset):
    """The numbers from 0 to `count` - 1, as a dataset of objects would give its objects."""

    def __init__(
        self,
        count: int,
        rank: int | None = None,
        world_size: int | None = None,
        *,
        fingerprint: str = "data",
        **options: Any,
    ) -> None:
        self.epochs = Epochs(
            "Numbers", fingerprint, count, EpochOptions(**options), Placement(rank, world_size)
        )

    def __iter__(self) -> Iterator[int]:
        return self._numbers(self.epochs.start())

    def _numbers(self, cursor: Any) -> Iterator[int]:
        for number in cursor.left:
            cursor.consumed += 1
            yield number

    def state_dict(self) -> dict[str, Any]:
        """As the datasets have it."""
        return self.epochs.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As the datasets have it."""
        self.epochs.load(state)
