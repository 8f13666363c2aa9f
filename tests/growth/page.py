"""The figures, as data, as a table and as a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

from growth.steps import CONTROL, READ

__all__ = ["Figures", "write"]

Figures = dict[int, dict[str, float]]
"""What each step took, in seconds or MiB, by how many objects there were."""

# Steps that take so little in all are of a fixed cost, whatever there is of it for each object.
_FIXED_S = 0.1
_ALLOWED = 1.2

_PREFACE = """# Growth

What a step costs for each object as there are more of them: `make growth` fills a real cluster of
one proxy and one target on one machine, measures, and writes this page. *µs each*: microseconds of
the step, divided by the number of objects. *growth*: that of the most objects, divided by that of
the fewest; where a step takes less than 0.1 s in all, that says nothing.

*read: control* are objects at random too, by bare GetBatch requests of a script that throws away
what comes: what the node takes for them, with which this package has nothing to do. *relative to
the control* is how much more reading takes, and its growth is ours.

![Microseconds for each object](growth.svg)
"""
_WIDTH, _LEFT, _ROW, _TOP = 920, 330, 18, 60
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .heading { font-size: 18px; font-weight: 600 }
  .name { text-anchor: end }
  .page { fill: #ffffff }
  rect { fill: #5a9e00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117 }
    rect { fill: #76b900 }
  }
"""


def write(folder: Path, objects: Figures, shards: Figures) -> str:
    """Write data, page and chart; return the tables."""
    whole = {"objects": objects, "shards of 10 samples": shards}
    (folder / "growth.json").write_text(json.dumps(whole, indent=1) + "\n")
    tables = "\n".join(_table(title, figures) for title, figures in whole.items())
    (folder / "growth.md").write_text(f"{_PREFACE}\n{tables}")
    (folder / "growth.svg").write_text(_chart(objects))
    return tables


def _table(title: str, figures: Figures) -> str:
    counts = list(figures)
    head = [title, *(f"{count:,}: s" for count in counts), "µs each", "growth"]
    lines = [head, ["---"] * len(head)]
    for step in figures[counts[-1]]:
        values = [figures[count][step] for count in counts]
        each = [value / count * 1e6 for value, count in zip(values, counts, strict=True)]
        if "MiB" in step:
            lines.append([step, *(f"{value:.1f}" for value in values), "", ""])
            continue
        shown = " ".join(f"{one:,.2f}" for one in each)
        growth = each[-1] / each[0]
        note = "" if growth <= _ALLOWED or values[-1] < _FIXED_S else " (!)"
        lines.append([step, *(f"{value:.4g}" for value in values), shown, f"{growth:.2f}{note}"])
        if step == CONTROL:
            lines.append(_relative(list(figures.values())))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _relative(measured: list[dict[str, float]]) -> list[str]:
    """Return the line that says how reading grows where the control does not."""
    values = [steps[READ] / steps[CONTROL] for steps in measured]
    growth = values[-1] / values[0]
    note = "" if growth <= _ALLOWED else " (!)"
    shown = [f"{value:.2f} times" for value in values]
    return ["read: relative to the control", *shown, "", f"{growth:.2f}{note}"]


def _chart(figures: Figures) -> str:
    bars = [
        (step, count, value / count * 1e6)
        for step in next(iter(figures.values()))
        if "MiB" not in step
        for count, value in ((count, steps[step]) for count, steps in figures.items())
    ]
    height = _TOP + _ROW * len(bars) + 20
    return "\n".join([*_frame(height), *_bars(bars), "</svg>\n"])


def _frame(height: int) -> Iterator[str]:
    heading = "Microseconds for each object, as there are more of them"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}">'
    )
    yield f"<title>{heading}</title>\n<style>{_STYLE}</style>"
    yield f'<rect class="page" width="{_WIDTH}" height="{height}"/>'
    yield f'<text x="20" y="34" class="heading">{heading}</text>'


def _bars(bars: list[tuple[str, int, float]]) -> Iterator[str]:
    """Yield the bars of all steps; those of one step are relative to its longest."""
    for number, (step, count, each) in enumerate(bars):
        most = max(value for other, _, value in bars if other == step)
        y, length = _TOP + _ROW * number, max(1, round(440 * each / most))
        label = escape(f"{step}, {count:,}")
        yield f'<text class="name" x="{_LEFT - 10}" y="{y + 12}">{label}</text>'
        yield f'<rect x="{_LEFT}" y="{y + 2}" width="{length}" height="{_ROW - 4}"/>'
        yield f'<text x="{_LEFT + length + 8}" y="{y + 12}">{each:,.3f}</text>'
