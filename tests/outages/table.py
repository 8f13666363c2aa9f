"""The table of what came of it, for people to read and for documents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from outages.trial import Result

__all__ = ["Table"]

_HEAD = [
    "what happens",
    "as promised",
    "complete",
    "repeated",
    "wrong",
    "missing",
    "held up for",
    "what else",
]
_PREFACE = """# Bad days

What all readers deliver, one epoch after the other, while this happens to a cluster of one proxy
and three targets, unless the row says otherwise. `make faults` runs it on a real cluster on one
machine and writes this page. *as promised*: readers that were complete, or where objects are lost,
that said so: by an error, or by what they reported as skipped. *complete*: readers whose every
epoch had all objects, each once and right. *missing*: objects that did not come, and nobody said
so. *held up for*: seconds from the beginning of it to the end of the last wait for a sample, of the
slowest reader; in brackets for how long nodes were away and the cluster said that objects move:
that is 40 s after a target joins, however few there are, and a pipe that lists waits for it, as
until then names may be left out.
"""


class Table:
    """The rows that were run until now."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Result]] = {}

    def add(self, name: str, results: list[Result]) -> None:
        """Add one row."""
        self._rows[name] = results

    def __str__(self) -> str:
        """All rows, in Markdown."""
        rows = [[name, *_cells(results)] for name, results in self._rows.items()]
        lines = [_HEAD, ["---"] * len(_HEAD), *rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def write(self, folder: Path) -> None:
        """Write it as a page, and every reader's part as JSON."""
        (folder / "faults.md").write_text(f"{_PREFACE}\n{self}\n")
        details = {name: [_detail(result) for result in each] for name, each in self._rows.items()}
        (folder / "faults.json").write_text(json.dumps(details, indent=1) + "\n")


def _cells(results: list[Result]) -> list[str]:
    complete = sum(result.is_complete for result in results)
    counts = [str(_total(results, what)) for what in ("repeated", "wrong", "missing")]
    away_s = max(result.over - result.struck for result in results)
    held_up_s = max(result.recovered_s for result in results)
    notes = sorted({result.error.partition(":")[0] for result in results if result.error})
    skipped = _total(results, "skipped")
    notes += [f"{skipped} reported as skipped"] if skipped else []
    promised = sum(not result.finding for result in results)
    return [
        f"{promised} of {len(results)}",
        f"{complete} of {len(results)}",
        *counts,
        f"{held_up_s:.0f} s ({away_s:.0f} s)",
        ", ".join(notes),
    ]


def _detail(result: Result) -> dict[str, object]:
    return {
        "reader": result.reader.title,
        "epochs": len(result.epochs),
        "complete": result.is_complete,
        "held_up_s": round(result.recovered_s, 1),
        **{what: result.total(what) for what in ("repeated", "wrong", "missing", "skipped")},
        "error": result.error,
    }


def _total(results: Iterable[Result], what: str) -> int:
    return sum(result.total(what) for result in results)
