"""Retries of what is read: again after a random, growing pause, up to a number and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.metrics.counters import increment

__all__ = ["retry"]

_T = TypeVar("_T")


def retry(action: Callable[[], _T], on: tuple[type[Exception], ...], settings: Settings) -> _T:
    """Return what `action` returns; call it again when it raises one of `on`.

    Args:
        action: What to do; it takes up where it failed, or begins anew.
        on: The errors that another attempt may mend.
        settings: Number of retries, pauses between them, and the deadline for all.

    Raises:
        Exception: What the last attempt raised.

    Example:
        >>> answers = iter([TimeoutError(), "here"])
        >>> def ask():
        ...     answer = next(answers)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> retry(ask, (TimeoutError,), Settings(first_backoff_s=0.01))
        'here'
    """
    deadline = time.monotonic() + settings.retry_deadline_s
    attempt = 0
    while True:
        try:
            return action()
        except on:
            attempt += 1
            pause_s = settings.backoff_s(attempt)
            if attempt > settings.max_retries or time.monotonic() + pause_s > deadline:
                raise
        increment("retries")
        time.sleep(pause_s)
