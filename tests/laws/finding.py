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
_OPTIONS = (
    *("mode", "drop_last", "start", "prefetch", "is_persistent", "snapshot", "is_peeked"),
    *("shuffle", "seed", "run", "is_listed", "buffer"),
)


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
    yield from _with_fewer_rows(case)
    plain = Case()
    for name in ("workers", "batch", "world"):
        if getattr(case, name) > getattr(plain, name):
            yield replace(case, **{name: getattr(case, name) - 1})
    for name in _OPTIONS:
        if getattr(case, name) != getattr(plain, name):
            yield replace(case, **{name: getattr(plain, name)})
    if len(case.stops) > 1:
        fewer = len(case.stops) - 1
        carriers = case.carriers if case.worlds else case.carriers[:fewer]
        yield replace(case, stops=case.stops[:fewer], carriers=carriers, worlds=case.worlds[:fewer])
    yield from _with_simpler_rows(case)


def _with_fewer_rows(case: Case) -> Iterator[Case]:
    if len(case.rows) > 1:
        for at in range(len(case.rows)):
            yield replace(case, rows=case.rows[:at] + case.rows[at + 1 :])


def _with_simpler_rows(case: Case) -> Iterator[Case]:
    for at, row in enumerate(case.rows):
        simpler = [replace(row, formats=("ustar",) * case.width)]
        if row.count > 1 and not row.is_broken:
            simpler.append(replace(row, count=row.count - 1))
        for one in simpler:
            if one != row:
                yield replace(case, rows=(*case.rows[:at], one, *case.rows[at + 1 :]))
