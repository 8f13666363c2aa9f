"""Epochs: which positions this process reads next, and where it stands in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import get_worker_info

from aisdatapipes.distributed.partition import Dealing, Uneven
from aisdatapipes.distributed.shuffling import epoch_order, order_digest
from aisdatapipes.distributed.world import Lane, Placement
from aisdatapipes.epochs.cursors import Cursor, lane_fields
from aisdatapipes.epochs.resuming import VERSION, check_state, undealt
from aisdatapipes.errors import StateMismatchError

__all__ = ["EpochOptions", "Epochs"]

_NOT_SET = -1
_MOST_WORKERS = 4096

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EpochOptions:
    """How a dataset is shuffled and dealt.

    Args:
        shuffle: Whether every epoch has a random order of its own.
        seed: Of these orders; the same in all ranks.
        uneven: See `Uneven`.
        loader_batch_size: How many in a row go to one worker.

    Raises:
        ValueError: `uneven` is none of the three, or `loader_batch_size` is less than 1.
    """

    shuffle: bool = False
    seed: int = 0
    uneven: Uneven = "pad"
    loader_batch_size: int = 1

    def __post_init__(self) -> None:
        self.dealing(Lane())

    def dealing(self, lane: Lane) -> Dealing:
        """Return how positions are dealt, to this lane and the others of its run."""
        return Dealing(lane.world_size, lane.num_workers, self.loader_batch_size, self.uneven)


class Epochs:
    """The epochs of a dataset in this process: their order, its share of them, its state.

    Copies of it in DataLoader workers, persistent ones too, follow `set_epoch`.

    Args:
        dataset: Name of the dataset's class.
        fingerprint: Of what it reads.
        count: How many positions there are.
        options: How they are shuffled and dealt.
        placement: Which rank this is.
    """

    def __init__(
        self,
        dataset: str,
        fingerprint: str,
        count: int,
        options: EpochOptions,
        placement: Placement,
    ) -> None:
        self._identity = {
            "version": VERSION,
            "dataset": dataset,
            "manifest": fingerprint,
            "seed": options.seed,
            "shuffle": options.shuffle,
        }
        self._count = count
        self._options = options
        self._placement = placement
        # As set by the user, and as loaded. In shared memory, so that workers see them.
        self._numbers = torch.full((2,), _NOT_SET).share_memory_()
        self._loaded: _LoadedState | None = None
        self._cursor: Cursor | None = None
        self._refusal: StateMismatchError | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_cursor": None}

    @property
    def epoch(self) -> int:
        """Number of the epoch that comes next: as set, else as loaded, else 0."""
        return next((number for number in self._numbers.tolist() if number != _NOT_SET), 0)

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the epoch that comes next, here and in the workers.

        Raises:
            ValueError: `epoch` is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch is {epoch}: epochs count from 0")
        self._numbers[0] = epoch

    def rank_size(self) -> int:
        """Return how many positions this rank has in an epoch, all its workers together."""
        lane = self._placement.lane()
        return self._options.dealing(lane).rank_size(self._count, lane.rank)

    def start(self) -> Cursor:
        """Begin an iteration: where a state that was loaded says, once, else at the beginning.

        Returns:
            The cursor. Where the state that was loaded is in the middle of another epoch than
            `set_epoch` asks for, its `left` raises `StateMismatchError`.

        Raises:
            StateMismatchError: The state that was loaded is of another lane.
        """
        loaded, self._loaded = self._loaded, None
        state = loaded.take() if loaded else None
        resumed = None
        try:
            resumed = self._resumed(state) if state else None
        except StateMismatchError as error:
            self._refusal = error
        if resumed:  # said at once: torchdata fails next, and without a word
            lane = self._placement.lane()
            check_state(resumed.state(), lane_fields(self._options.dealing(lane), lane))
        self._cursor = resumed or self._dealt(self.epoch, [])
        # Raised by the first item: torchdata takes 5 s to end a worker that fails before it.
        self._cursor.refusal, self._refusal = self._refusal, None
        return self._cursor

    def state(self) -> dict[str, Any]:
        """Return the state of the latest iteration; before one, of where it will begin."""
        if self._loaded:
            return self._loaded.state
        if self._cursor:
            return self._cursor.state()
        whole = {**self._fields(self.epoch, self._order(self.epoch)), "deals": []}
        return {**whole, "dealing": None, "lane": None, "consumed": 0, "partial": {}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin where `state` says.

        Raises:
            StateMismatchError: It is no state, or one of other data, another seed, …; in a
                DataLoader worker, the next iteration raises it.
        """
        try:
            check_state(state, self._fields(state.get("epoch", 0), None))
        except StateMismatchError as error:
            if get_worker_info() is None:
                raise
            self._refusal = error
            return
        self._numbers[1] = state["epoch"]
        self._loaded = _LoadedState(dict(state))

    def _order(self, epoch: int) -> torch.Tensor:
        options = self._options
        return epoch_order(self._count, options.seed, epoch, shuffle=options.shuffle)

    def _fields(self, epoch: int, order: torch.Tensor | None) -> dict[str, Any]:
        order = self._order(epoch) if order is None else order
        return {**self._identity, "epoch": epoch, "order": order_digest(order)}

    def _resumed(self, state: dict[str, Any]) -> Cursor | None:
        """Return where `state` stands; None if that is the end of another epoch than the next."""
        epoch = state["epoch"]
        if state["lane"] is None:
            cursor = self._dealt(epoch, state["deals"])
            cursor.take_parts(state["partial"])
        else:
            cursor = Cursor.of_state(state, self._order(epoch))
        if cursor.is_over and epoch != self.epoch:
            return None
        check_state(cursor.state(), {"epoch": self.epoch})
        return cursor

    def _dealt(self, epoch: int, deals: list[dict[str, Any]]) -> Cursor:
        """Deal what past deals have left of an epoch."""
        order = self._order(epoch)
        fields = {**self._fields(epoch, order), "deals": deals}
        left = undealt(order, deals)
        lane = self._placement.lane()
        dealing = self._options.dealing(lane)
        dropped = len(left) % lane.world_size
        if dropped and dealing.uneven == "drop" and lane.rank == lane.worker == 0:
            _logger.info("left out the last %d of %d, to even out ranks", dropped, len(left))
        return Cursor.of_lane(fields, left, dealing, lane)


class _LoadedState:
    """A state that is used once: by one iteration here, or by one of each worker of a loader."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        # By worker, the pass of the loader in which it began here. In shared memory: a loader
        # starts the workers of every epoch as copies of a dataset that never began itself.
        self._passes = torch.zeros(_MOST_WORKERS, dtype=torch.int64).share_memory_()

    def take(self) -> dict[str, Any] | None:
        """Return the state, or None if an earlier pass took it."""
        worker = get_worker_info()
        passes = self._passes[self._passes != 0]
        if worker is None:
            return None if len(passes) else self.state
        this_pass = (worker.seed - worker.id) | 1  # equal in all workers, another one next time
        if self._passes[worker.id] or (passes != this_pass).any():
            return None
        self._passes[worker.id] = this_pass
        return self.state
