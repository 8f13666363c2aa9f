"""The model: which samples a case has, and what each rank and worker may give of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.jobs import Lanes
from laws.shards import base, readable, replaced, samples_of

__all__ = ["LawBrokenError", "Model", "equal", "law"]


class LawBrokenError(Exception):
    """A dataset breaks a law.

    Args:
        which: Its letter, see `laws`.
        why: What was found.
    """

    def __init__(self, which: str, why: str) -> None:
        super().__init__(f"law {which}: {why}")
        self.which = which


def law(which: str, holds: object, why: str) -> None:
    """Check a law.

    Raises:
        LawBrokenError: It does not hold.
    """
    if not holds:
        raise LawBrokenError(which, why)


def equal(which: str, found: list[Any], expected: list[Any], what: str) -> None:
    """Check that steps are those that a law demands.

    Raises:
        LawBrokenError: They are not.
    """
    law(which, found == expected, f"{what}: {_text(found)} in place of {_text(expected)}")


def _text(steps: Any) -> str:
    """Return steps as worker:sample."""
    if isinstance(steps, tuple) and len(steps) == 2 and isinstance(steps[0], int):
        return f"{steps[0]}:{steps[1]}"
    return f"[{' '.join(map(_text, steps))}]"


@dataclass
class Model:
    """What there is to read in one epoch.

    Attributes:
        every: All samples of all rows, whether they can be read or not.
        certain: Those that have to be given; with ``on_error`` functions the replacements too.
        possible: Those of which nobody can say whether they can be read.
        broken: The rows that cannot be read whole.
    """

    case: Case
    every: list[str] = field(default_factory=list)
    certain: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.case.rows):
            samples = samples_of(number, row)
            certain, possible = readable(number, row)
            if self.case.shuffle and row.is_broken:  # they may be in the buffer at the fault
                certain, possible = set(), certain | possible
            self.every += samples
            self.certain |= certain
            self.possible |= possible
            if row.is_broken:
                self.broken.add(number)
            if self.case.on_error == "give":
                lost = set(samples) - certain - possible
                self.certain |= set(map(replaced, lost))

    def is_known(self, sample: str) -> bool:
        """Whether such a sample may come at all."""
        if sample in self.certain or sample in self.possible:
            return True
        return self.case.on_error == "give" and base(sample) in self.possible

    def given(self, owned: Iterable[str], seen: set[str]) -> list[str]:
        """Return which of these samples come, if those that are doubtful come as they were seen.

        Args:
            owned: Samples, whether they can be read or not, in order.
            seen: What came in the job.
        """
        found = []
        for sample in map(base, owned):
            choices = (sample, replaced(sample))
            found += [one for one in choices if one in self.certain]
            if sample in self.possible:
                found += [one for one in choices if one in seen]
        return found

    def check_partition(self, lanes: Lanes) -> None:
        """Check that lanes have every sample exactly once: laws a and g."""
        found = Counter(map(base, chain.from_iterable(lanes.values())))
        expected = Counter(self.every)
        text = f"never {sorted(expected - found)}, too often {sorted(found - expected)}: {lanes}"
        law("a", found == expected, text)
        strange = [one for lane in lanes.values() for one in lane if not self.is_known(one)]
        law("g", not strange, f"nobody had to stand in for {strange}")

    def failures_of(self, lane: Iterable[str]) -> set[Any]:
        """Return what a lane cannot read, each as often as it is counted: rows, or samples."""
        if not ADAPTERS[self.case.kind].counts_samples:
            return self.rows_of(lane)
        return {base(sample) for sample in lane if int(base(sample)[:2]) in self.broken}

    def rows_of(self, lane: Iterable[str]) -> set[int]:
        """Return the broken rows that a lane reads, of those that have samples."""
        return {int(base(sample)[:2]) for sample in lane} & self.broken
