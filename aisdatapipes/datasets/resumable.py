"""What all iterable datasets have in common: epochs, a state, and counters."""

from __future__ import annotations

from abc import ABC
from typing import Any

from torch.utils.data import IterableDataset

from aisdatapipes.epochs.epochs import Epochs
from aisdatapipes.metrics.counters import Counters, SharedCounters

__all__ = ["ResumableDataset"]


class ResumableDataset(IterableDataset[Any], ABC):
    """An iterable dataset that stops and goes on anywhere, and says what it has done.

    Args:
        epochs: Its epochs, its share of them and its state.
        report: Its counters.
    """

    def __init__(self, epochs: Epochs, report: SharedCounters) -> None:
        self._epochs = epochs
        self._report = report

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next, as for `DistributedSampler`; without it, it is always 0.

        Call it before each pass, in all ranks. It reaches workers, persistent ones too.

        Raises:
            ValueError: `epoch` is negative.
        """
        self._epochs.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return where the latest iteration of this process stands; JSON can hold it.

        Samples that were yielded are consumed. The state of a `DataLoader` with workers is
        not here, but in ``StatefulDataLoader.state_dict()``.
        """
        return self._epochs.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on where `state` says; those after it are whole epochs.

        Args:
            state: Of the same lane, or one that `merge_states` made, for any.

        Raises:
            StateMismatchError: It is of other objects, another class, seed or version.
        """
        self._epochs.load(state)

    def counters(self) -> Counters:
        """Return what this dataset has done until now, all its worker processes together."""
        return self._report.counters()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now, of all worker processes."""
        return self._report.skipped_urls()
