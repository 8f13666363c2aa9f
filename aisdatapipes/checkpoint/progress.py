"""Progress: where one worker stands in its slice of an epoch, while it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from aisdatapipes.checkpoint.state import (
    Checkpoint,
    EqualStepsProgress,
    PositionProgress,
    WorkerProgress,
)
from aisdatapipes.distributed.partition import Slice
from aisdatapipes.distributed.shuffling import turn_order
from aisdatapipes.distributed.world import World
from aisdatapipes.errors import AISPipeError, StateMismatchError

__all__ = ["Progress", "SupportsProgress", "remaining"]


class SupportsProgress(Protocol):
    """What reads one position, and knows how far it is."""

    def progress(self) -> PositionProgress:
        """Return how much of the position is done."""
        ...


class Progress:
    """Where the reading of one slice stands; whoever reads moves it on.

    Args:
        run: Of which run and epoch it is, and where it was loaded.
        worker: Whose slice it is, and how far it was when it was saved.
        own: The slice.
        begun: What was read of positions that are not done; those of other slices are left out.

    Attributes:
        slice: What there is to read.
        consumed: How many of its positions are done.
        equal_steps: What all ranks have agreed on, None if nothing.
        given: How many samples of these were given.
        repeated: How many of them were padding.
        refusal: Why reading cannot begin; `left` raises it.
        wanted_epoch: The epoch that was to come; another one, if a state brings the rest of it.

    Raises:
        StateMismatchError: More is consumed than there is.
    """

    def __init__(
        self,
        run: Checkpoint,
        worker: WorkerProgress,
        own: Slice,
        begun: Mapping[int, PositionProgress],
    ) -> None:
        self._run = run
        self._worker = worker
        self.slice = own
        self.consumed = worker.consumed
        if not 0 <= self.consumed <= len(own.positions):
            raise StateMismatchError(
                f"the state says that {self.consumed} of {len(own.positions)} positions are "
                "consumed: it was changed after it was saved"
            )
        left = own.own[self.consumed :].tolist() if begun else []
        self._begun = {at: begun[at] for at in left if at in begun}
        self._reading: tuple[int, SupportsProgress] | None = None
        steps = self.equal_steps = worker.equal_steps
        self.given, self.repeated = (steps.given, steps.repeated) if steps else (0, 0)
        self.refusal: AISPipeError | ValueError | None = None
        self.wanted_epoch = run.epoch

    @property
    def epoch(self) -> int:
        """Number of the epoch."""
        return self._run.epoch

    @property
    def is_of_another_epoch(self) -> bool:
        """Whether it is the rest of another epoch than the one that was to come."""
        return self.epoch != self.wanted_epoch

    @property
    def worker(self) -> WorkerProgress:
        """Whose slice it is; how far it is, as it was at the beginning."""
        return self._worker

    @property
    def is_finished(self) -> bool:
        """Whether all positions are done."""
        return self.consumed == len(self.slice.positions)

    @property
    def is_over(self) -> bool:
        """Whether it is certain that no sample is left."""
        return self.given == self.equal_steps.target if self.equal_steps else self.is_finished

    def left(self) -> list[int]:
        """Return the positions that are not done.

        Raises:
            AISPipeError: The `refusal`.
        """
        if self.refusal:
            raise self.refusal
        return self.slice.positions[self.consumed :].tolist()

    def begun(self, position: int) -> PositionProgress | None:
        """Return what was read of a position before this reading."""
        return self._begun.get(position)

    def begin(self, position: int, reading: SupportsProgress) -> None:
        """Say who reads the next position that is not done."""
        self._reading = position, reading

    def finish(self, position: int) -> None:
        """Say that the next position is done."""
        self.consumed += 1
        self._begun.pop(position, None)
        self._reading = None

    def finish_rest(self) -> None:
        """Say that all that is left is done with."""
        self.consumed = len(self.slice.positions)
        self._begun.clear()
        self._reading = None

    def agree_on(self, steps: EqualStepsProgress) -> None:
        """Set how many samples there will be."""
        self.equal_steps, self.given, self.repeated = steps, steps.given, steps.repeated

    def checkpoint(self) -> Checkpoint:
        """Return where it stands now; of a reading that cannot begin, where it would."""
        if self.refusal:
            return self._run
        begun = dict(self._begun)
        if self._reading:
            position, reading = self._reading
            begun[position] = reading.progress()
        steps = self.equal_steps and replace(
            self.equal_steps, given=self.given, repeated=self.repeated
        )
        worker = replace(self._worker, consumed=self.consumed, equal_steps=steps)
        return replace(self._run, begun=begun, worker=worker)


def remaining(order: Tensor, run: Checkpoint) -> Tensor:
    """Return what is left of an epoch's order after the past stops of a run, in order."""
    for stop in run.history:
        consumed, turns = map(_each, (stop.consumed, stop.turns))
        worlds = stop.partition.workers()
        turn_of = dict(zip(worlds, turns, strict=True))

        def order_of(worker: World, count: int, turn_of: Mapping[World, int] = turn_of) -> Tensor:
            return turn_order(count, run.identity.seed, run.epoch, turn_of[worker], worker)

        order = stop.partition.remaining(order, consumed, order_of if any(turns) else None)
    return order


def _each(run_lengths: tuple[tuple[int, int], ...]) -> list[int]:
    return [count for times, count in run_lengths for _ in range(times)]
