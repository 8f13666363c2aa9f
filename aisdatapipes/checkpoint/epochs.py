"""Epochs: which positions this process reads next, and where it stands in them.

With `shuffle`, every pass has an order of its own. `set_epoch` says which epoch comes, and the
passes after it go on by themselves: in a job of one rank to the next epoch. Of several ranks one
may begin a pass more often than the others, to look at a batch, and would then read its part of
another epoch than they, so that some samples came twice and others never. So several ranks stay in
the epoch until `set_epoch` says otherwise, and what changes is the turn: each worker reads the same
slice again, in another order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import get_worker_info

from aisdatapipes.checkpoint.loader_board import LoaderBoard, Pass
from aisdatapipes.checkpoint.mismatch import check_equal, mismatch
from aisdatapipes.checkpoint.progress import Progress, remaining
from aisdatapipes.checkpoint.state import (
    Checkpoint,
    EqualStepsProgress,
    PositionProgress,
    RunIdentity,
    WorkerProgress,
)
from aisdatapipes.distributed.callers import accelerate_batch_size
from aisdatapipes.distributed.partition import Partition, Slice
from aisdatapipes.distributed.sharding import Sharding
from aisdatapipes.distributed.shuffling import epoch_order, order_digest, turn_order
from aisdatapipes.distributed.world import World
from aisdatapipes.errors import AISPipeError, StateMismatchError

__all__ = ["Epochs", "StepsFor"]

_logger = logging.getLogger(__name__)

StepsFor = Callable[
    [torch.Tensor, Partition, World, Mapping[int, PositionProgress]], "EqualStepsProgress | None"
]
"""Returns how many samples a worker is to give, of positions that go to the workers in some way
and of which some are begun; None where that is up to each."""


class Epochs:
    """The epochs of a dataset in this process: their order, its slice of them, its state.

    Args:
        identity: Of the run; seed and shuffle say the orders of its epochs.
        count: How many positions there are.
        sharding: How they go to ranks and workers, and which of them this process is.
        steps_for: See `StepsFor`.
    """

    def __init__(
        self,
        identity: RunIdentity,
        count: int,
        sharding: Sharding,
        steps_for: StepsFor | None = None,
    ) -> None:
        self._identity = identity
        self._count = count
        self._sharding = sharding
        self._detector = sharding.detector()
        self._steps_for = steps_for
        self._board = LoaderBoard()
        self._loaded: Checkpoint | None = None  # in a worker, which was given its own state
        self._refusal: StateMismatchError | None = None
        self._progress: Progress | None = None
        self._run = 0  # what was known of the loader when it was pickled for a worker

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_progress": None, "_run": accelerate_batch_size()}

    def copied(self) -> Epochs:
        """Return epochs that have the same before them, and go their own way from here."""
        other = copy(self)
        other._board = deepcopy(self._board)
        return other

    @property
    def epoch(self) -> int:
        """Number of the epoch that comes next: as set, else as loaded or counted."""
        return self._number(self._board.next_pass())[0]

    @property
    def shuffle(self) -> bool:
        """Whether each epoch has an order of its own."""
        return self._identity.shuffle

    def set_epoch(self, epoch: int, turn: int = 0) -> None:
        """Set the number of the epoch that comes next, and its turn, here and in the workers.

        Raises:
            ValueError: `epoch` is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch is {epoch}: epochs count from 0")
        self._board.set_epoch(epoch, turn)

    def world(self) -> World:
        """Return which of the workers this process is."""
        return self._detector.world()

    def known_world(self, num_workers: int = 1) -> World:
        """Return the place of a rank, with so many workers, the first if its own is not known."""
        return World(*self._detector.known_rank(), 0, num_workers)

    def _partition(self, world: World) -> Partition:
        """Return how positions go to workers: single objects so that all batches are full.

        Where Accelerate cuts those that are not, `loader_batch_size` is found out.
        """
        partition = self._sharding.partition(world)
        if self._steps_for or partition.run > 1:
            return partition
        return replace(partition, run=accelerate_batch_size() or self._run or 1)

    def worker_sizes(self, num_workers: int) -> list[int]:
        """Return how many positions each of so many workers of this rank has in an epoch."""
        world = self.known_world(num_workers)
        return self._partition(world).worker_sizes(self._count, world.rank)

    def order(self, epoch: int) -> torch.Tensor:
        """Return all positions in the order of an epoch."""
        identity = self._identity
        return epoch_order(self._count, identity.seed, epoch, shuffle=identity.shuffle)

    def start(self) -> Progress:
        """Begin a pass: where a state that was loaded says, once, else at the beginning.

        Returns:
            Where it begins. If that is in the middle of another epoch than `set_epoch` says, as
            far as is known now, it ``is_of_another_epoch``.

        Raises:
            StateMismatchError: The state that was loaded is of another worker.
        """
        own, self._loaded = self._loaded, None
        begun = self._board.begin_pass((own.epoch, own.turn) if own else None)
        # What a worker was given goes before what all were.
        loaded = own or (Checkpoint.from_dict(begun.state) if begun.state else None)
        epoch, turn = self._number(begun)
        if loaded is None:
            progress = self._partitioned(self._beginning(epoch), turn)
        else:
            progress = self._resumed(loaded)
            progress.wanted_epoch = epoch if begun.is_set else loaded.epoch
            if progress.is_of_another_epoch:
                # The next pass is that epoch again: torchdata's loaders begin a pass to find that
                # its state was saved at the end, and then one more. That one does not wait until
                # the workers of this one have found, maybe by reading on, that nothing is left.
                self._board.set_epoch(progress.wanted_epoch)
                if progress.is_over:
                    return self.start_instead(progress)
        return self._started(progress)

    def start_instead(self, progress: Progress) -> Progress:
        """Begin the epoch that was to come, as of another one there is no sample left."""
        return self._started(self._partitioned(self._beginning(progress.wanted_epoch), 0))

    def _started(self, progress: Progress) -> Progress:
        # Raised by the first item: torchdata takes 5 s to end a worker that fails before it.
        if self._refusal:
            progress.refusal, self._refusal = self._refusal, None
        self._progress = progress
        return progress

    def mismatch(self, progress: Progress) -> StateMismatchError:
        """Return the error for a state in the middle of another epoch."""
        return mismatch("epoch", progress.epoch, progress.wanted_epoch)

    def state(self) -> dict[str, Any]:
        """Return the state of the latest pass; before one, of where it will begin.

        Raises:
            StateMismatchError: The latest pass was read by the workers of a DataLoader, which
                keep their state to themselves.
        """
        if self._loaded:
            return self._loaded.to_dict()
        if not get_worker_info():
            latest = self._board.latest_pass()
            if latest.state:
                return latest.state
            if latest.is_of_workers:
                raise StateMismatchError(
                    "the workers of a DataLoader read this dataset, and how far they are is not "
                    "known here: use torchdata's StatefulDataLoader, and save its state_dict()"
                )
        if self._progress:
            return self._progress.checkpoint().to_dict()
        return self._beginning(self.epoch).to_dict()

    def load(self, state: Mapping[str, Any]) -> None:
        """Let the next pass begin where `state` says.

        Raises:
            StateMismatchError: It is no state, or one of other data, another seed, …; in a
                DataLoader worker, the next pass raises it.
        """
        is_worker = get_worker_info() is not None
        try:
            checkpoint = Checkpoint.from_dict(state)
            self._check(checkpoint)
        except StateMismatchError as error:
            if not is_worker:
                raise
            self._refusal = error
            return
        if is_worker:
            self._loaded = checkpoint
        else:
            self._board.load_state(checkpoint.to_dict(), checkpoint.epoch, checkpoint.turn)

    def _number(self, found: Pass) -> tuple[int, int]:
        """Return epoch and turn of a pass; see the top of this module."""
        if not self._identity.shuffle:
            return found.epoch, 0
        if self.known_world().world_size == 1:
            return found.epoch + found.turn, 0
        return found.epoch, found.turn

    def _beginning(self, epoch: int) -> Checkpoint:
        return Checkpoint(self._identity, epoch, order_digest(self.order(epoch)))

    def _resumed(self, checkpoint: Checkpoint) -> Progress:
        if checkpoint.worker is None:
            return self._partitioned(checkpoint, checkpoint.turn)
        worker = checkpoint.worker
        world = self.world()
        # Said at once: torchdata fails next, and without a word.
        check_equal("uneven", worker.partition.uneven, self._sharding.uneven)
        check_equal("partition", worker.partition, self._partition(world))
        check_equal("worker", str(worker.world), str(world))
        left = remaining(self.order(checkpoint.epoch), checkpoint)
        own = self._slice(left, worker, checkpoint.epoch)
        return Progress(checkpoint, worker, own, checkpoint.begun)

    def _partitioned(self, run: Checkpoint, turn: int) -> Progress:
        """Give this worker its slice of what is left of an epoch."""
        left = remaining(self.order(run.epoch), run)
        world = self.world()
        partition = self._partition(world)
        dropped = partition.dropped(len(left))
        if dropped and world.rank == world.worker == 0:
            _logger.info("dropped the last %d of %d, to even out ranks", dropped, len(left))
        worker = WorkerProgress(partition, world.rank, world.worker, turn=turn)
        own = self._slice(left, worker, run.epoch)
        if not run.history and not len(own.own):
            self._warn_of_nothing(world)
        if self._steps_for and world.num_workers > 1 and accelerate_batch_size():
            _logger.warning(
                "Accelerate cuts a batch that its ranks cannot share equally, as the last one of "
                "%s may be: pass dispatch_batches=False",
                world,
            )
        progress = Progress(run, worker, own, run.begun)
        try:
            steps = self._steps_for and self._steps_for(left, partition, world, run.begun)
        except (AISPipeError, ValueError) as error:
            progress.refusal = error
            return progress
        if steps:
            progress.agree_on(steps)
        return progress

    def _warn_of_nothing(self, world: World) -> None:
        if self._count:
            workers = world.world_size * world.num_workers
            _logger.warning(
                "%s has nothing of its own to read: %d objects or shards are for %d workers; use "
                "fewer workers or smaller shards",
                world,
                self._count,
                workers,
            )

    def _slice(self, left: torch.Tensor, worker: WorkerProgress, epoch: int) -> Slice:
        own = worker.partition.slice(left, worker.world)
        if not worker.turn:
            return own
        order = turn_order(len(own.own), self._identity.seed, epoch, worker.turn, worker.world)
        return own.reordered(order)

    def _check(self, checkpoint: Checkpoint) -> None:
        expected = vars(self._identity)
        for name, value in vars(checkpoint.identity).items():
            check_equal(name, value, expected[name])
        check_equal("order", checkpoint.order, order_digest(self.order(checkpoint.epoch)))
        if checkpoint.turn and not checkpoint.identity.shuffle:
            raise StateMismatchError(
                f"the state is of turn {checkpoint.turn} of a run without shuffle, which has none: "
                "it was changed after it was saved"
            )
