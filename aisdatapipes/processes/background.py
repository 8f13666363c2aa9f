"""Threads that open connections ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["close_result", "in_thread"]

_T = TypeVar("_T")


def in_thread(opening: Callable[[_T], Any], what: _T, opened: Future | None = None) -> Future:
    """Open in a thread that nobody has to wait for, not even the end of the process.

    The threads of an executor would hold up a Ctrl-C for as long as the cluster is silent.

    Args:
        opening: What to call.
        what: What to call it with.
        opened: The future to return, a new one by default; for who has to know of it even if a
            Ctrl-C comes before this returns.

    Returns:
        A future of what `opening` returns; cancelled in time, it is not called.
    """
    opened = Future() if opened is None else opened

    def run() -> None:
        if not opened.set_running_or_notify_cancel():
            return
        try:
            opened.set_result(opening(what))
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            opened.set_exception(error)

    threading.Thread(target=run, name="aisdatapipes", daemon=True).start()
    return opened


def close_result(opened: Future) -> None:
    """Close what was opened, where nobody will take it any more."""
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()
