"""What a plan is made of: works, the readers of each, and the bars that ours have to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Bar", "Reader", "Work"]


@dataclass(frozen=True)
class Work:
    """What is read.

    Attributes:
        code: Its short name: a letter, and a number where several works have the same.
        title: What it is.
        unit: What is counted.
        data: Kind of data, as `benchmarks.data.store` calls it.
        baseline: The reader that the others are compared with.
        delay_s: Added to every answer of the cluster.
        rounds: How often every reader reads; None for as often as the caller says.
    """

    code: str
    title: str
    unit: str
    data: str
    baseline: str
    delay_s: float = 0
    rounds: int | None = None

    @property
    def letter(self) -> str:
        """What chooses it, with others perhaps."""
        return self.code[0]


@dataclass(frozen=True)
class Reader:
    """A reader of one work.

    Attributes:
        work: Code of the work.
        name: What the table calls it.
        function: Where it is, ``module:function`` in `benchmarks.readers`.
        kind: ``ours``, ``peer``, or ``limit``: one that does not look at what it reads.
        most: After how many items it stops; 0 for none. For readers that do one label at a
            time, so that the rate is the same.
        data: Kind of data; empty for that of the work.
        options: For the function.
        is_of_the_past: Whether it needs the SDK of the past.
        yields_items: Whether it yields what it reads, item by item, and so is checked to the
            byte.
    """

    work: str
    name: str
    function: str
    kind: Literal["ours", "peer", "limit"] = "peer"
    most: int = 0
    data: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_of_the_past: bool = False
    yields_items: bool = True


@dataclass(frozen=True)
class Bar:
    """What one of our readers has to reach, compared with the best of some others.

    Attributes:
        work: Code of the work.
        reader: Name of ours.
        measure: ``rate``: ours is at least `bound` times theirs. ``first item``: our time is at
            most `bound` times theirs. ``memory``: our peak is at most `bound` MB above theirs,
            or above an idle process where there are no others. ``seconds``: we take at most so
            many, whatever others do.
        bound: The number.
        others: Names of the others.
    """

    work: str
    reader: str
    measure: Literal["rate", "first item", "memory", "seconds"]
    bound: float
    others: tuple[str, ...] = ()
