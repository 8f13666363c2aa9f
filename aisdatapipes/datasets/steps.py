"""Steps: equally many samples for all ranks, whose shards have different numbers of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch

from aisdatapipes.distributed.partition import Dealing, Uneven
from aisdatapipes.distributed.shuffling import epoch_order
from aisdatapipes.distributed.world import Lane, Placement
from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.epochs.resuming import REPEATED, undealt
from aisdatapipes.errors import BadArchiveError

__all__ = ["Steps", "SupportsSteps"]

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class SupportsSteps(Protocol[_T_co]):
    """What one lane reads, sample by sample."""

    def samples(self) -> Iterator[_T_co]:
        """Yield what is left, and move the lane's cursor on."""
        ...

    def repeated(self, positions: Iterable[int]) -> Iterator[_T_co]:
        """Yield all samples of some shards, and leave the lane's cursor where it is."""
        ...


class Steps:
    """Gives the workers of the same number equally many samples in all ranks.

    Args:
        counts: Returns how many samples each shard has.
        size: How many shards there are.
        placement: Which rank this is.
        uneven: Whether samples are repeated or left out for it; with ``"keep"`` neither.
        seed: Of the order of the shards.
        shuffle: Whether that is random.
    """

    def __init__(
        self,
        counts: Callable[[], Sequence[int]],
        size: int,
        placement: Placement,
        uneven: Uneven,
        seed: int,
        shuffle: bool,
    ) -> None:
        Dealing(uneven=uneven)  # raises for a word that is unknown
        self._ask = counts
        self._size = size
        self._placement = placement
        self._uneven: Uneven = uneven
        self._seed, self._shuffle = seed, shuffle
        self._counts: Sequence[int] | None = None
        self._loaded: Mapping[str, Any] = {}
        if uneven != "keep" and placement.rank()[1] > 1:
            self._count()  # here, where one rank can do it for all and for their workers

    def load(self, state: Mapping[str, Any]) -> None:
        """Take note of what all lanes had read of shards that are not done."""
        self._loaded = state

    def even_out(self, lane: SupportsSteps[_T], cursor: Cursor) -> Iterator[_T]:
        """Return the samples of a lane, as many as the same worker has in the other ranks.

        Raises:
            BadArchiveError: At the end: there are more than the cluster had listed.
            ValueError: At the first sample: a rank has none at all, so all would be dropped.
        """
        if self._uneven == "keep" or cursor.fields["dealing"]["world_size"] == 1:
            return lane.samples()
        return self._evened(lane, cursor)

    def of_rank(self, epoch: int) -> int:
        """Return how many samples this rank has in an epoch, as if it had a single worker."""
        own = self._placement.lane()
        order = self._order(epoch)
        dealing = Dealing(own.world_size, uneven="keep")
        totals = [self._total(dealing.share(order, lane).positions, {}) for lane in dealing.lanes()]
        if self._uneven == "keep":
            return totals[own.rank]
        return (max if self._uneven == "pad" else min)(totals)

    def _evened(self, lane: SupportsSteps[_T], cursor: Cursor) -> Iterator[_T]:
        stands = cursor.partial.get(REPEATED) or {"given": 0, "repeated": 0}
        given, repeated = stands["given"], stands["repeated"]
        target = stands.get("target") or self._target(cursor)
        cursor.partial[REPEATED] = lambda: {
            "given": given,
            "repeated": repeated,
            "target": target,
        }
        for found in lane.samples():
            if given == target:
                self._leave_out(cursor)
                return
            given += 1
            yield found
        for found in islice(self._again(lane, cursor), repeated, repeated + target - given):
            given, repeated = given + 1, repeated + 1
            yield found

    def _again(self, lane: SupportsSteps[_T], cursor: Cursor) -> Iterator[_T]:
        """Yield the samples of the lane's shards, or of all shards if those have none; for ever."""
        for positions in (cursor.share.positions.tolist(), range(self._size)):
            found = True
            while found:
                found = False
                for sample in lane.repeated(positions):
                    found = True
                    yield sample

    def _leave_out(self, cursor: Cursor) -> None:
        if self._uneven == "pad":
            raise BadArchiveError(
                f"the shards of {_lane_of(cursor)} have more samples than the cluster had listed: "
                "keys come back in one of them; mend it, or read with uneven='keep'"
            )
        _logger.info("%s left out its last samples, to even out ranks", _lane_of(cursor))
        cursor.drop_rest()

    def _target(self, cursor: Cursor) -> int:
        """Return how many samples the worker of this number gets in every rank."""
        fields = cursor.fields
        order = undealt(self._order(fields["epoch"]), fields["deals"])
        dealing, own = Dealing(**fields["dealing"]), _lane_of(cursor)
        done = self._done(fields)
        totals = [
            self._total(dealing.share(order, lane).positions, done)
            for lane in dealing.lanes()
            if lane.worker == own.worker
        ]
        if self._uneven == "pad":
            if not totals[own.rank] and max(totals):
                _logger.warning("no shard is left for %s, so it repeats those of others", own)
            return max(totals)
        if not min(totals) and max(totals):
            raise ValueError(
                f"{len(order)} shards are too few for {len(dealing.lanes())} workers in "
                f"{dealing.world_size} ranks: uneven='drop' would drop all samples of worker "
                f"{own.worker}; use fewer workers, smaller shards or uneven='pad'"
            )
        return min(totals)

    def _done(self, fields: Mapping[str, Any]) -> dict[int, int]:
        """Return how many samples had been read of the shards that are dealt now."""
        loaded = self._loaded
        is_begun = loaded.get("lane") is None and all(
            loaded.get(name) == fields[name] for name in ("epoch", "deals")
        )
        parts = loaded["partial"] if is_begun else {}
        return {int(name): part["samples"] for name, part in parts.items() if name != REPEATED}

    def _total(self, positions: torch.Tensor, done: Mapping[int, int]) -> int:
        counts = self._count()
        return sum(max(counts[at] - done.get(at, 0), 0) for at in positions.tolist())

    def _count(self) -> Sequence[int]:
        if self._counts is None:
            self._counts = self._ask()
        return self._counts

    def _order(self, epoch: int) -> torch.Tensor:
        return epoch_order(self._size, self._seed, epoch, shuffle=self._shuffle)


def _lane_of(cursor: Cursor) -> Lane:
    (rank, worker), dealing = cursor.fields["lane"], cursor.fields["dealing"]
    return Lane(rank, dealing["world_size"], worker, dealing["num_workers"])
