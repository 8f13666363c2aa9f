"""What the datasets of shards have in common: ranks that make equally many steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import get_worker_info

from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.steps import Steps
from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.metrics.progress_bar import with_bar

__all__ = ["SteppedDataset"]


class SteppedDataset(ResumableDataset):
    """An iterable dataset whose samples are in shards, of which ranks get whole ones.

    Attributes:
        show_progress: Whether to show a tqdm bar.
        transform: Called with a sample, returns what comes in its place; None for nothing.
    """

    show_progress: bool
    transform: Callable[[Any], Any] | None
    _steps: Steps

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the samples, transformed."""
        samples = self._samples(self._epochs.start())
        if self.show_progress:
            worker = get_worker_info()
            number = worker.id if worker else None
            samples = with_bar(samples, self._bytes_in, type(self).__name__, worker=number)
        return map(self.transform, samples) if self.transform else samples

    def __len__(self) -> int:
        """Return how many samples this rank yields in an epoch without a stop, at most.

        The cluster is asked, once, how many each shard has.
        """
        return self._steps.of_rank(self._epochs.epoch)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where `state` says; those after it are whole epochs.

        Args:
            state: Of the same lane, or one that `merge_states` made, for any.

        Raises:
            StateMismatchError: It is of other shards, another class, seed or version.
        """
        super().load_state_dict(state)
        self._steps.load(state)

    @abstractmethod
    def _samples(self, cursor: Cursor) -> Iterator[Any]:
        """Return what a lane yields from where its cursor stands, evened out."""

    @staticmethod
    @abstractmethod
    def _bytes_in(sample: Any) -> int:
        """Return the bytes of a sample."""
