"""Repeating: writing as a whole again, after a failure that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError
from aisdatapipes.metrics.counters import increment
from aisdatapipes.writing.sending import is_passing

__all__ = ["repeat"]


def repeat(
    action: Callable[[], object],
    settings: Settings,
    recover: Callable[[AISPipeError], None] = lambda _: None,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Call `action` until it succeeds, fails for good, or the retries are used up.

    Args:
        action: What to do, from the beginning each time.
        settings: Number of retries, pauses between them, and the deadline for all.
        recover: Called after a failure, before the next attempt; may raise another error.
        pause: How to wait, for so many seconds.

    Raises:
        AISPipeError: What the last attempt raised.
    """
    deadline = time.monotonic() + settings.retry_deadline_s
    attempt = 0
    while True:
        try:
            action()
        except AISPipeError as error:
            attempt += 1
            pause_s = settings.backoff_s(attempt)
            is_late = time.monotonic() + pause_s > deadline
            if not is_passing(error) or attempt > settings.max_retries or is_late:
                raise
            recover(error)
        else:
            return
        increment("retries")
        pause(pause_s)
