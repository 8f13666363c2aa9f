"""Hunting: a law with one seed after the other, until it breaks or the time is up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from hypothesis import HealthCheck, seed, settings

__all__ = ["hunt", "soon"]

_MOST_S = 20


def hunt(law: Callable[[], None], first_seed: int, minutes: float, cases: int = 100) -> int:
    """Try a law for so many minutes, at least with one seed; return for how many cases it held.

    Args:
        law: What `hypothesis.given` makes of a function.
        first_seed: The next ones follow.
        minutes: The time there is.
        cases: How many there are of each seed.

    Raises:
        AssertionError: The law is broken, for what hypothesis prints.
    """
    deadline = time.monotonic() + 60 * minutes
    tried = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        print_blob=True,
    )(law)
    for number in count(first_seed):
        print(f"the seed is {number}")  # noqa: T201 - where it fails, pytest shows the last one
        seed(number)(tried)()
        if time.monotonic() > deadline:
            return cases * (number - first_seed + 1)
    return 0


@contextmanager
def soon() -> Iterator[None]:
    """Raise in the block if it takes far too long, so that a hang has an input too."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"no end after {_MOST_S} s")

    before = signal.signal(signal.SIGALRM, hangs)
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, _MOST_S)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        left = max(0.1, remaining - (time.monotonic() - began)) if remaining else 0
        signal.setitimer(signal.ITIMER_REAL, left)  # that of pytest-timeout
