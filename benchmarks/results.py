"""Results: medians, ratios, and whether the bars are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.job import Job, Run
from benchmarks.works import Bar, Reader, Work

__all__ = ["Row", "Verdict", "judge", "to_json"]


@dataclass(frozen=True)
class Row:
    """What one reader reached.

    Attributes:
        work: What it read.
        reader: Who.
        job: How much there was.
        runs: Its readings; none if it failed.
        error: Why it failed.
    """

    work: Work
    reader: Reader
    job: Job
    runs: list[Run]
    error: str = ""

    @property
    def rates(self) -> list[float]:
        """Items per second, of every run."""
        is_part = bool(self.reader.most)
        return [(run.count if is_part else self.job.items) / run.seconds for run in self.runs]

    @property
    def rate(self) -> float:
        """Median of the rates."""
        return median(self.rates)

    @property
    def first_item_s(self) -> float:
        """Median of the seconds until the first item."""
        return median(run.first_item_s for run in self.runs)

    @property
    def memory_mb(self) -> float:
        """Most memory in any run, in 10**6 bytes above the idle process."""
        return max(run.peak_bytes for run in self.runs) / 1e6


@dataclass(frozen=True)
class Verdict:
    """What became of a bar.

    Attributes:
        bar: The bar.
        other: The best of the others.
        reached: Ratio, megabytes or seconds; None if one of the readers failed.
    """

    bar: Bar
    other: str
    reached: float | None

    @property
    def is_met(self) -> bool:
        """Whether ours is good enough."""
        if self.reached is None:
            return False
        is_least = self.bar.measure == "rate"
        return self.reached >= self.bar.bound if is_least else self.reached <= self.bar.bound


def judge(rows: Sequence[Row], bars: Sequence[Bar]) -> list[Verdict]:
    """Compare ours with the others, for every bar of the works that were measured."""
    works = {row.work.code for row in rows}
    by_name = {(row.work.code, row.reader.name): row for row in rows if row.runs}
    return [_verdict(bar, by_name) for bar in bars if bar.work in works]


def to_json(rows: Sequence[Row], verdicts: Sequence[Verdict], machine: dict[str, Any]) -> dict:
    """Return everything, as JSON has it.

    Args:
        rows: What was measured.
        verdicts: What it is worth.
        machine: Where and with what it was measured.
    """
    return {
        "machine": machine,
        "rows": [_row_to_json(row) for row in rows],
        "bars": [
            {**asdict(each.bar), "best_other": each.other, "reached": each.reached}
            | {"is_met": each.is_met}
            for each in verdicts
        ],
    }


def _verdict(bar: Bar, by_name: dict[tuple[str, str], Row]) -> Verdict:
    ours = by_name.get((bar.work, bar.reader))
    others = [row for name in bar.others if (row := by_name.get((bar.work, name)))]
    if ours is None or (bar.others and not others):
        return Verdict(bar, "", None)
    if bar.measure == "seconds":
        return Verdict(bar, "", ours.job.items / ours.rate)
    if bar.measure == "memory":
        name = others[0].reader.name if others else "an idle process"
        return Verdict(bar, name, ours.memory_mb - (others[0].memory_mb if others else 0))
    if bar.measure == "rate":
        best = max(others, key=lambda row: row.rate)
        return Verdict(bar, best.reader.name, ours.rate / best.rate)
    best = min(others, key=lambda row: row.first_item_s)
    return Verdict(bar, best.reader.name, ours.first_item_s / best.first_item_s)


def _row_to_json(row: Row) -> dict[str, Any]:
    described = {"work": row.work.code, "reader": row.reader.name, "kind": row.reader.kind}
    if not row.runs:
        return described | {"error": row.error}
    return described | {
        "unit": row.work.unit,
        "rate": round(row.rate, 1),
        "first_item_s": round(row.first_item_s, 6),
        "memory_mb": round(row.memory_mb, 1),
        "rates": [round(rate, 1) for rate in row.rates],
    }
