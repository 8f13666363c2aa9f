"""Repeating: writing as a whole again, after a failure that may pass."""

from __future__ import annotations

from collections.abc import Callable

from aisdatapipes.client.connection import attempts_for
from aisdatapipes.errors import AISPipeError
from aisdatapipes.processes.background import pause
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.sending import is_passing

__all__ = ["repeat"]


def repeat(
    action: Callable[[], object],
    request: ObjectRequest,
    recover: Callable[[AISPipeError], None] = lambda _: None,
    pause: Callable[[float], object] = pause,
) -> object:
    """Call `action` until it succeeds, or fails for good; return what it returns.

    Args:
        action: What to do, from the beginning each time.
        request: What it writes: the settings say how often and for how long.
        recover: Called before the next attempt; may raise another error.
        pause: How to wait, for so many seconds.

    Raises:
        AISPipeError: What the last attempt raised.
    """
    attempts = attempts_for(request.endpoint, request.settings, pause)
    while True:
        try:
            result = action()
        except AISPipeError as error:  # noqa: PERF203 - failures are what the loop is for
            if not is_passing(error) or not attempts.failed(is_refused=False):
                raise
            recover(error)
        else:
            attempts.succeeded()
            return result
