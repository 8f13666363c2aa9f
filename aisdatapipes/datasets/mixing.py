"""Mixing: which of several datasets the next sample comes from, and how far a mix has come."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from random import Random
from typing import Any, Literal

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.errors import StateMismatchError

__all__ = ["Draws", "MixPass", "MixState", "Stop"]

Stop = Literal["all", "first", "cycle"]
"""When a mix ends: all its datasets have ended, the first one has, or each has at least once."""

_BLOCK = 1024
_ROUND = 1 << 32
"""Between the epochs of a dataset that begins again within an epoch of the mix."""


@dataclass(frozen=True)
class MixState:
    """How far one worker has come in an epoch of a mix.

    Attributes:
        epoch: Number of the epoch.
        given: How many samples it has given.
        draws: How many times a dataset was drawn.
        ends: How often each dataset has ended.
        datasets: State of each.
    """

    epoch: int
    given: int
    draws: int
    ends: tuple[int, ...]
    datasets: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data that JSON can hold."""
        return {**vars(self), "ends": list(self.ends), "datasets": list(self.datasets)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], count: int) -> MixState:
        """Return the state that `to_dict` made `plain` of.

        Raises:
            StateMismatchError: It was changed, or is not of so many datasets.
        """
        try:
            lists = {name: tuple(plain[name]) for name in ("ends", "datasets")}
            state = cls(**{**plain, **lists})
        except (KeyError, TypeError) as error:
            raise StateMismatchError(f"no state of a mix: {error}") from None
        numbers = [state.epoch, state.given, state.draws, *state.ends]
        if any(type(number) is not int or number < 0 for number in numbers):
            raise StateMismatchError("the state of the mix was changed after it was saved")
        if not len(state.ends) == len(state.datasets) == count:
            raise StateMismatchError(f"the state of a mix of {len(state.ends)}, here of {count}")
        return state


class Draws:
    """Draws datasets by their weights; any draw can be had without those before it.

    The same for workers of the same number in all ranks, so that these make equally many steps.

    Args:
        weights: One for each dataset.
        key: What the draws depend on: seed, epoch and worker.

    Example:
        >>> draws = Draws([3, 1], "0/0/0")
        >>> [draws.draw(place, (True, True)) for place in range(8)]
        [0, 0, 0, 0, 1, 0, 1, 1]
    """

    def __init__(self, weights: Sequence[float], key: str) -> None:
        self._weights = weights
        self._key = key
        self._block = -1
        self._numbers: list[float] = []
        self._open: tuple[bool, ...] = ()
        self._sums: list[float] = []
        self._last = 0

    def draw(self, place: int, are_open: tuple[bool, ...]) -> int:
        """Return the number of a dataset that is open.

        Args:
            place: Number of the draw.
            are_open: Of each dataset, whether it can be drawn.
        """
        block, within = divmod(place, _BLOCK)
        if block != self._block:
            random = Random(f"{self._key}/{block}")  # noqa: S311 - no secret depends on it
            self._block, self._numbers = block, [random.random() for _ in range(_BLOCK)]
        if are_open != self._open:
            self._open = are_open
            self._sums = list(accumulate(map(mul, self._weights, are_open)))
            self._last = max(number for number, is_open in enumerate(are_open) if is_open)
        # A product may be rounded up to the sum of all.
        return min(bisect(self._sums, self._numbers[within] * self._sums[-1]), self._last)


class MixPass:
    """One epoch of a mix in one worker: an iterator over its samples, which knows its state.

    The datasets are copies, whose epochs are set here, so that nobody else counts them. A dataset
    that begins again has another epoch, as it would have in the next of the mix.

    Args:
        datasets: What is mixed.
        draws: Says which one is next.
        stop: See `Stop`; None for never.
        share: How many samples this worker gives at most; None for no bound.
        state: Where to begin.
        progress: That of the mix's own epochs.
    """

    def __init__(
        self,
        datasets: Sequence[ResumableDataset],
        draws: Draws,
        stop: Stop | None,
        share: int | None,
        state: MixState | None,
        progress: Progress,
    ) -> None:
        self._draws, self._stop, self._share = draws, stop, share
        self._progress, self._epoch = progress, progress.epoch
        self._datasets = list(map(copy, datasets))
        self.given = self._drawn = 0
        self._ends = [0] * len(datasets)
        if state:
            self.given, self._drawn, self._ends = state.given, state.draws, list(state.ends)
        self._has_given = [state is not None] * len(datasets)  # in its present pass, or may have
        self._open = self._can_be_drawn()
        self._samples: list[Iterator[Any]] = []
        for number, dataset in enumerate(self._datasets):
            if state:
                dataset.load_state_dict(dict(state.datasets[number]))
            self._samples.append(self._begun(number) if self._open[number] else iter(()))

    def __iter__(self) -> MixPass:
        return self

    def __next__(self) -> Any:
        if self._progress.refusal:  # the state that was loaded does not fit
            raise self._progress.refusal
        while not self._is_over():
            number = self._draws.draw(self._drawn, self._open)
            self._drawn += 1
            for sample in self._samples[number]:
                self.given += 1
                self._has_given[number] = True
                return sample
            self._end(number)
        self._progress.finish_rest()
        self._samples.clear()  # and so what they read ahead
        raise StopIteration

    def state(self) -> MixState:
        """Return how far it is."""
        states = tuple(dataset.state_dict() for dataset in self._datasets)
        return MixState(self._epoch, self.given, self._drawn, tuple(self._ends), states)

    def _can_be_drawn(self) -> tuple[bool, ...]:
        return tuple(self._stop != "all" or not ends for ends in self._ends)

    def _is_over(self) -> bool:
        if self._stop is None:
            return self.given == self._share
        return any(self._ends) if self._stop == "first" else all(self._ends)

    def _begun(self, number: int) -> Iterator[Any]:
        dataset = self._datasets[number]
        turn = self._progress.worker.turn
        dataset._epochs.set_epoch(self._epoch + self._ends[number] * _ROUND, turn)
        return iter(dataset)

    def _end(self, number: int) -> None:
        """Note the end of a dataset, which begins again unless the mix stops or does without it.

        Raises:
            ValueError: It begins again and has nothing.
        """
        self._ends[number] += 1
        self._open = self._can_be_drawn()
        if self._stop == "all" or self._is_over():
            return
        if not self._has_given[number]:
            raise ValueError(
                f"dataset {number} of the mix has no sample for {self._progress.worker.world}, and "
                "would begin again for ever: give it more objects or shards, or start fewer workers"
            )
        self._has_given[number] = False
        self._samples[number] = self._begun(number)
