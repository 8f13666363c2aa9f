"""Retries of what is read: again after a random, growing pause, up to a number and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import RETRYABLE
from aisdatapipes.metrics.counters import increment

__all__ = ["retry"]

_T = TypeVar("_T")


def retry(
    action: Callable[[], _T], settings: Settings, never: tuple[type[Exception], ...] = ()
) -> _T:
    """Return what `action` returns; call it again when it raises a `RETRYABLE` error.

    Args:
        action: What to do; it goes on where it failed, or begins again.
        settings: Number of retries, pauses between them, and the deadline for all.
        never: The errors among them that are raised at once.

    Raises:
        Exception: What the last attempt raised.

    Example:
        >>> from aisdatapipes.errors import ClusterTimeoutError
        >>> answers = iter([ClusterTimeoutError("too slow"), "here"])
        >>> def ask():
        ...     answer = next(answers)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> retry(ask, Settings(first_backoff_s=0.01))
        'here'
    """
    deadline = time.monotonic() + settings.retry_deadline_s
    attempt = 0
    while True:
        try:
            return action()
        except never:
            raise
        except RETRYABLE:
            attempt += 1
            pause_s = settings.backoff_s(attempt)
            if attempt > settings.max_retries or time.monotonic() + pause_s > deadline:
                raise
        increment("retries")
        time.sleep(pause_s)
