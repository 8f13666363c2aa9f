"""A dataset that reads nothing: the positions of `Epochs` themselves, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.distributed.sharding import Sharding


class Numbers(IterableDataset):
    """The numbers from 0 to `count` - 1, as a dataset of objects would give its objects."""

    def __init__(
        self,
        count: int,
        rank: int | None = None,
        world_size: int | None = None,
        *,
        fingerprint: str = "data",
        seed: int = 0,
        shuffle: bool = False,
        **sharding: Any,
    ) -> None:
        identity = RunIdentity("Numbers", fingerprint, seed, shuffle)
        self.epochs = Epochs(
            identity, count, Sharding(rank=rank, world_size=world_size, **sharding)
        )

    def __iter__(self) -> Iterator[int]:
        return self._numbers(self.epochs.start())

    def _numbers(self, progress: Progress) -> Iterator[int]:
        if progress.is_of_another_epoch:
            raise self.epochs.mismatch(progress)
        for number in progress.left():
            progress.finish(number)
            yield number

    def set_epoch(self, epoch: int) -> None:
        """As the datasets have it."""
        self.epochs.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """As the datasets have it."""
        return self.epochs.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As the datasets have it."""
        self.epochs.load(state)
