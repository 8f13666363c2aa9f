"""The table that a run prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.results import Row, Verdict

__all__ = ["format_table"]

_MARKS = {"ours": "*", "peer": " ", "limit": "-"}
_SIGNS = {"rate": ">=", "first item": "<=", "memory": "<=", "seconds": "<="}


def format_table(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """Return all results and what they are worth, to be printed.

    Args:
        rows: What was measured, work after work.
        verdicts: Of the bars of these works.
    """
    lines = []
    for code in dict.fromkeys(row.work.code for row in rows):
        lines += _of_work([row for row in rows if row.work.code == code])
    lines += ["* ours   - a limit: does not look at what it reads", "", *_of_bars(verdicts)]
    return "\n".join(lines)


def _of_work(rows: Sequence[Row]) -> Iterator[str]:
    work = rows[0].work
    base = next((row for row in rows if row.reader.name == work.baseline and row.runs), None)
    title = f"{work.code}  {work.title}"
    yield f"{title:42}{work.unit:>12}{'ratio':>9}{'first item':>13}{'memory':>10}"
    for row in rows:
        name = f" {_MARKS[row.reader.kind]} {row.reader.name}"
        if not row.runs:
            yield f"{name:42}{'failed':>12}  {row.error}"
            continue
        ratio = f"{row.rate / base.rate:.2f} x" if base else ""
        yield (
            f"{name:42}{row.rate:12,.0f}{ratio:>9}{row.first_item_s * 1e3:10,.1f} ms"
            f"{row.memory_mb:7,.0f} MB"
        )
    yield ""


def _of_bars(verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield f"{'bar':42}{'needed':>12}{'reached':>11}"
    for verdict in verdicts:
        bar = verdict.bar
        unit = {"memory": "MB", "seconds": "s"}.get(bar.measure, "x")
        reached = "" if verdict.reached is None else f"{verdict.reached:.2f} {unit}"
        needed = f"{_SIGNS[bar.measure]} {bar.bound:g} {unit}"
        yield (
            f"{bar.work}  {bar.reader:39}{needed:>12}{reached:>11}"
            f"  {'met    ' if verdict.is_met else 'NOT MET'}  {bar.measure}: {_others(verdict)}"
        )


def _others(verdict: Verdict) -> str:
    if verdict.reached is None:
        return "not measured"
    if verdict.bar.measure == "seconds":
        return "for all of it"
    return f"above {verdict.other}" if verdict.bar.measure == "memory" else verdict.other
