"""Retries of what is read: again after a random, growing pause, as long as it is worth it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aisdatapipes.client.connection import attempts_for
from aisdatapipes.errors import CLUSTER_WIDE, RETRYABLE
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["retry"]

_T = TypeVar("_T")


def retry(action: Callable[[], _T], request: ObjectRequest) -> _T:
    """Return what `action` returns; call it again when a body that it reads breaks off.

    What is `CLUSTER_WIDE` is raised at once: the requests themselves have been repeated already.

    Args:
        action: What to do; it goes on where it failed, or begins again.
        request: What it reads: the settings say how often and for how long.

    Raises:
        Exception: What the last attempt raised.

    Example:
        >>> import os
        >>> from aisdatapipes import Settings
        >>> from aisdatapipes.errors import ClusterTimeoutError
        >>> answers = iter([ClusterTimeoutError("too slow"), "here"])
        >>> def ask():
        ...     answer = next(answers)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> settings = Settings(first_backoff_s=0.01)
        >>> retry(ask, ObjectRequest.parse("ais://b/o", os.environ["AIS_ENDPOINT"], settings))
        'here'
    """
    attempts = attempts_for(request.endpoint, request.settings)
    while True:
        try:
            result = action()
        except CLUSTER_WIDE:  # noqa: PERF203 - failures are what the loop is for
            raise
        except RETRYABLE:
            if not attempts.failed(is_refused=False):
                raise
        else:
            attempts.succeeded()
            return result
