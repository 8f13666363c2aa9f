"""What came of a session: whether every epoch was exact, and whether anything grew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from outages.epochs import Epoch
from soak.readers import READERS
from soak.trainer import Holding

__all__ = ["GROWTH", "Report", "Result"]

GROWTH = {"memory_mib": 16.0, "threads": 4.0, "files": 8.0, "children": 0.0}
"""By how much the median of a session's last quarter may exceed that of its first.

The epochs of the first two rounds are in none, as every reader opens what it keeps in them.
"""

_COUNTS = ("missing", "repeated", "wrong", "skipped")


@dataclass(frozen=True)
class Result:
    """What came of an epoch.

    Attributes:
        reader: Title of the reader.
        seed: Of its faults.
        epoch: What was read; None if it did not end.
        holding: What its process held behind it; likewise.
        faults: How often a fault struck.
        said: What else there is to say; empty if it has ended.
    """

    reader: str
    seed: str
    epoch: Epoch | None
    holding: Holding | None
    faults: int
    said: str = ""

    @property
    def is_stuck(self) -> bool:
        """Whether it did not end."""
        return self.said.startswith("no end")

    @property
    def finding(self) -> str:
        """What is not as it should be; empty if everything is."""
        epoch = self.epoch
        if epoch is None or epoch.is_complete:
            said = self.said
        else:
            counts = [f"{getattr(epoch, what)} {what}" for what in _COUNTS if getattr(epoch, what)]
            said = ", ".join([*counts, *filter(None, [epoch.error])])
        return said and f"{self.reader}, epoch {self.seed}: {said}"


@dataclass
class Report:
    """A session until now.

    Attributes:
        seed: Of all that was drawn in it.
        results: Of its epochs.
    """

    seed: int
    results: list[Result] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """What is not as it should be, in single epochs and in the whole."""
        inexact = [result.finding for result in self.results if result.finding]
        grown = [
            f"{what}: {first:.1f} in the first quarter, {last:.1f} in the last one"
            for what, (first, last) in self._quarters().items()
            if last > first + GROWTH[what]
        ]
        return inexact + grown

    def total(self, what: str) -> int:
        """Return a number of all epochs: ``missing``, ``repeated``, ``wrong`` or ``skipped``."""
        return sum(getattr(result.epoch, what) for result in self.results if result.epoch)

    @property
    def faults(self) -> int:
        """How often a fault struck."""
        return sum(result.faults for result in self.results)

    def __str__(self) -> str:
        took = [one.epoch.end - one.epoch.begin for one in self.results if one.epoch]
        held = ", ".join(
            f"{what} {first:.1f} -> {last:.1f}" for what, (first, last) in self._quarters().items()
        )
        counts = ", ".join(f"{self.total(what)} {what}" for what in _COUNTS)
        return (
            f"{len(self.results)} epochs of {len({one.reader for one in self.results})} readers, "
            f"{self.faults} faults struck: {counts}; the longest epoch took "
            f"{max(took, default=0):.1f} s\n"
            f"held by the main process, first and last quarter: {held}\n"
            f"to run it again: SOAK_SEED={self.seed}"
        )

    def _quarters(self) -> dict[str, tuple[float, float]]:
        held = [result.holding for result in self.results if result.holding][2 * len(READERS) :]
        quarter = len(held) // 4
        if not quarter:
            return {}
        parts = held[:quarter], held[-quarter:]
        return {what: (_median(parts[0], what), _median(parts[1], what)) for what in GROWTH}


def _median(holdings: Sequence[Holding], what: str) -> float:
    return median(getattr(holding, what) for holding in holdings)
