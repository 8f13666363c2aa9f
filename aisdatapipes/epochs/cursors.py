"""Cursors: where the reading of one lane's share of an epoch stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from aisdatapipes.distributed.partition import Dealing, Share
from aisdatapipes.distributed.world import Lane
from aisdatapipes.epochs.resuming import lane_of, undealt
from aisdatapipes.errors import StateMismatchError

__all__ = ["Cursor", "lane_fields"]


@dataclass
class Cursor:
    """Where the reading of one share stands.

    Attributes:
        fields: What the state says beside the two below.
        share: What there is to read.
        consumed: How many of its positions are done with.
        partial: What was read of positions that are not, by their number as text; `REPEATED`
            for the last one if it is there to even out the ranks. What changes with every
            sample is a function that returns it.
        refusal: Why the state that was to be taken up cannot be.
    """

    fields: dict[str, Any]
    share: Share
    consumed: int = 0
    partial: dict[str, Any] = field(default_factory=dict)
    refusal: StateMismatchError | None = None

    @classmethod
    def of_lane(
        cls, fields: Mapping[str, Any], order: torch.Tensor, dealing: Dealing, lane: Lane
    ) -> Cursor:
        """Return the beginning of a lane's share.

        Args:
            fields: What the state says of the run.
            order: What is dealt.
            dealing: How.
            lane: Whose share it is.
        """
        return cls({**fields, **lane_fields(dealing, lane)}, dealing.share(order, lane))

    @classmethod
    def of_state(cls, state: Mapping[str, Any], order: torch.Tensor) -> Cursor:
        """Return where the `state` of a lane says.

        Args:
            state: Of a lane, not of a run as a whole.
            order: Of the state's epoch, before all deals.

        Raises:
            StateMismatchError: It says that more is consumed than there is.
        """
        order = undealt(order, state["deals"])
        cursor = cls.of_lane(state, order, Dealing(**state["dealing"]), lane_of(state))
        cursor.consumed, cursor.partial = state["consumed"], dict(state["partial"])
        size = len(cursor.share.positions)
        if not 0 <= cursor.consumed <= size:
            raise StateMismatchError(
                f"the state says that {cursor.consumed} of {size} positions are consumed: it was "
                "changed after it was taken"
            )
        return cursor

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.consumed == len(self.share.positions)

    def take_parts(self, partial: Mapping[str, Any]) -> None:
        """Take what was read of positions of this share from the parts of a whole run."""
        own = self.share.positions[: -1 if self.share.repeats_last else None]
        if partial:
            names = map(str, own.tolist())
            self.partial = {name: partial[name] for name in names if name in partial}

    @property
    def left(self) -> list[int]:
        """The positions that are not done with.

        Raises:
            StateMismatchError: The `refusal`.
        """
        if self.refusal:
            raise self.refusal
        return self.share.positions[self.consumed :].tolist()

    def drop_rest(self) -> None:
        """Count all that is left as consumed."""
        self.consumed = len(self.share.positions)
        self.partial.clear()

    def state(self) -> dict[str, Any]:
        """Return where it stands now, as plain data."""
        partial = {name: part() if callable(part) else part for name, part in self.partial.items()}
        return {**self.fields, "consumed": self.consumed, "partial": partial}


def lane_fields(dealing: Dealing, lane: Lane) -> dict[str, Any]:
    """Return what a state says about its lane."""
    return {"dealing": asdict(dealing), "lane": [lane.rank, lane.worker]}
