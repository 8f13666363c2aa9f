"""What all iterable datasets have in common: epochs, a state, counters, a bar, a transform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic

from torch.utils.data import IterableDataset, get_worker_info
from typing_extensions import TypeVar

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.metrics.counters import Counters, SharedCounters
from aisdatapipes.metrics.progress_bar import with_bar

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ResumableDataset"]

T_co = TypeVar("T_co", covariant=True, default=Any)


class ResumableDataset(IterableDataset[T_co], ABC, Generic[T_co]):
    """An iterable dataset that can stop and resume anywhere, and says what it has done.

    Args:
        epochs: Its epochs, its slice of them and its state.
        counters: Over all its processes.
        transform: Called with a sample, returns what comes in its place; None for nothing.
        show_progress: Whether to show a tqdm bar.
    """

    def __init__(
        self,
        epochs: Epochs,
        counters: SharedCounters,
        transform: Callable[[Any], T_co] | None,
        *,
        show_progress: bool,
    ) -> None:
        self._epochs = epochs
        self._counters = counters
        self.transform = transform
        self.show_progress = show_progress

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), _epochs=self._epochs.copied())
        return other

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator over the samples of this process's slice, transformed."""
        progress = self._epochs.start()  # now: loaders ask for the state before the first sample
        if progress.is_of_another_epoch:
            samples = self._after_the_rest(progress)
        else:
            samples = self._samples(progress)
        samples = self._with_bar(samples, self._left(progress))
        return map(self.transform, samples) if self.transform else samples

    @abstractmethod
    def _samples(self, progress: Progress) -> Iterator[Any]:
        """Return the samples from where a worker stands."""

    @abstractmethod
    def _bytes_in(self, sample: Any) -> int:
        """Return the bytes of a sample."""

    def _left(self, progress: Progress) -> int | None:
        """Return how many samples a worker has left; None if that is not known."""
        steps = progress.equal_steps
        return steps.target - progress.given if steps else None

    def _after_the_rest(self, progress: Progress) -> Iterator[Any]:
        """Yield the next epoch, if a state of another one has no sample left.

        A state that was saved behind the last sample of an epoch may not know that it was the
        last: shards that are empty, or are skipped, may follow.
        """
        for _ in self._samples(progress):
            raise self._epochs.mismatch(progress)
        yield from self._samples(self._epochs.start_instead(progress))

    def _with_bar(self, samples: Iterator[Any], total: int | None) -> Iterator[Any]:
        if not self.show_progress:
            return samples
        worker = get_worker_info()
        name = type(self).__name__
        return with_bar(samples, self._bytes_in, name, total, worker.id if worker else None)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next, as for `DistributedSampler`.

        With ``shuffle``, every pass has an order of its own without it too. One rank alone goes on
        to the next epoch by itself. Of several ranks each keeps its part, in another order; to have
        all samples shuffled among the ranks, call it before each pass, in all of them. It reaches
        workers, persistent ones too.

        Raises:
            ValueError: `epoch` is negative.
        """
        self._epochs.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return where the latest pass of this process stands; JSON can hold it.

        Samples that were yielded are consumed.

        Raises:
            StateMismatchError: The workers of a plain `DataLoader` read the latest pass; their
                state is in ``StatefulDataLoader.state_dict()`` only.
        """
        return self._epochs.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass resume where `state` says; those after it are whole epochs.

        Args:
            state: Of the same worker, or one that `merge_states` made, for any.

        Raises:
            StateMismatchError: It is of other objects, another class, seed or version.
        """
        self._epochs.load(state)

    def counters(self) -> Counters:
        """Return what this dataset has done until now, all its worker processes together."""
        return self._counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now, of all worker processes."""
        return self._counters.skipped_urls()
