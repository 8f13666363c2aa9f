"""Findings: a case that breaks a law, made as small as it gets, and how to see it again."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from laws.cases import Case
from laws.model import LawBrokenError

__all__ = ["reduced", "report"]

Check = Callable[[Case], LawBrokenError | None]
"""Returns what a case breaks."""

_SECONDS = 20.0


def reduced(case: Case, check: Check, which: str) -> tuple[Case, LawBrokenError | None]:
    """Return a smaller case that breaks the same law, and what it says; None for no smaller."""
    deadline = time.monotonic() + _SECONDS
    found: LawBrokenError | None = None
    candidates = _smaller(case)
    while (candidate := next(candidates, None)) and time.monotonic() < deadline:
        broken = check(candidate)
        if broken and broken.which == which:
            case, found = candidate, broken
            candidates = _smaller(case)
    return case, found


def report(case: Case, broken: LawBrokenError) -> str:
    """Return what a person needs to see a finding again."""
    command = f"LAWS_CASE={shlex.quote(case.dumps())} python -m pytest tests/test_laws.py"
    origin = f"seed {case.number}, {case.kind}, {case.plan}"
    return f"{broken}\n  {origin}; to see it again:\n  {command}"


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases that are simpler by one thing."""
    for at in range(len(case.rows)):
        if len(case.rows) > 1:
            yield replace(case, rows=case.rows[:at] + case.rows[at + 1 :])
    plain = Case()
    for name in ("workers", "batch", "world"):
        if getattr(case, name) > getattr(plain, name):
            yield replace(case, **{name: getattr(case, name) - 1})
    for name in ("mode", "drop_last", "start", "prefetch", "is_persistent", "snapshot", "shuffle"):
        if getattr(case, name) != getattr(plain, name):
            yield replace(case, **{name: getattr(plain, name)})
    for name in ("seed", "run", "is_listed", "buffer"):
        if getattr(case, name) != getattr(plain, name):
            yield replace(case, **{name: getattr(plain, name)})
    if len(case.stops) > 1:
        yield replace(
            case, stops=case.stops[:-1], carriers=case.carriers[: len(case.stops) - 1] or ("new",),
            worlds=case.worlds[:-1],
        )
    for at, row in enumerate(case.rows):
        simple = replace(row, formats=("ustar",) * case.width)
        if simple != row:
            yield replace(case, rows=(*case.rows[:at], simple, *case.rows[at + 1 :]))
        if row.count > 1 and not row.is_broken:
            fewer = replace(row, count=row.count - 1)
            yield replace(case, rows=(*case.rows[:at], fewer, *case.rows[at + 1 :]))
