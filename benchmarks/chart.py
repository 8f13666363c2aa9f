"""The chart: bars for every work, as an SVG that follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.results import Row

__all__ = ["draw_chart"]

_WIDTH = 920
_BAR_LEFT, _BAR_RIGHT = 300, 740
_ROW, _TITLE, _GAP = 22, 34, 14
_TOP = 96
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .heading { font-size: 18px; font-weight: 600 }
  .title { font-weight: 600 }
  .name { text-anchor: end }
  .quiet { fill: #59636e }
  .page { fill: #ffffff }
  .ours { fill: #5a9e00 }
  .peer { fill: #8c99a8 }
  .limit { fill: none; stroke: #8c99a8; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .page { fill: #0d1117 }
    .ours { fill: #76b900 }
    .peer { fill: #6e7a88 }
    .limit { stroke: #9198a1 }
  }
"""
_KEY = (("ours", "aisdatapipes"), ("peer", "others"), ("limit", "limit: content not looked at"))


def draw_chart(rows: Sequence[Row]) -> str:
    """Return an SVG with a bar for every reader.

    The works that are read at a rate show it, relative to their baseline; a work that is read
    once only, for its memory, shows that.

    Args:
        rows: What was measured, work after work. Readers that failed are left out.
    """
    rows = [row for row in rows if row.runs]
    parts: list[str] = []
    y = _TOP
    for code in dict.fromkeys(row.work.code for row in rows):
        own = [row for row in rows if row.work.code == code]
        parts += _panel(own, y)
        y += _TITLE + _ROW * len(own) + _GAP
    return "\n".join([*_frame(y), *parts, "</svg>\n"])


def _frame(height: int) -> Iterator[str]:
    heading = "Reading AIStore into PyTorch"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}">'
    )
    yield f"<title>{heading}</title>\n<style>{_STYLE}</style>"
    yield f'<rect class="page" width="{_WIDTH}" height="{height}"/>'
    yield _text(20, 34, heading, "heading")
    yield _text(20, 56, "Medians of one run, readers and cluster on one machine", "quiet")
    x = 20
    for kind, label in _KEY:
        yield f'<rect class="{kind}" x="{x}.5" y="69.5" width="14" height="12"/>'
        yield _text(x + 22, 80, label, "quiet")
        x += 190


def _panel(rows: Sequence[Row], y: int) -> Iterator[str]:
    work = rows[0].work
    of_memory = work.rounds is not None
    base = next((row.rate for row in rows if row.reader.name == work.baseline), rows[0].rate)
    what = "peak memory, MB above idle" if of_memory else f"{work.unit}, and times the first"
    yield _text(20, y + 20, f"{work.code}  {work.title}: {what}", "title")
    values = [row.memory_mb if of_memory else row.rate for row in rows]
    most = max(values) or 1
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        label = f"{value:,.0f} MB" if of_memory else f"{value:,.0f} · {value / base:.1f} x"
        yield from _bar(row, value / most, label, y + _TITLE + _ROW * number)


def _bar(row: Row, share: float, label: str, y: int) -> Iterator[str]:
    length = max(1, round((_BAR_RIGHT - _BAR_LEFT) * share))
    kind = row.reader.kind
    style = "name title" if kind == "ours" else "name"
    yield _text(_BAR_LEFT - 10, y + 13, row.reader.name, style)
    yield f'<rect class="{kind}" x="{_BAR_LEFT}.5" y="{y + 1}.5" width="{length}" height="15"/>'
    yield _text(_BAR_LEFT + length + 8, y + 13, label)


def _text(x: int, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(text)}</text>'
