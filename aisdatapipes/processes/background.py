"""Threads that work in the background, and end before the interpreter does.

A daemon thread that still runs Python when the interpreter ends is ended by force as soon as it
wants the interpreter's lock. Up to Python 3.13 that aborts the process ("terminate called without
an active exception") wherever the thread is inside C++: to free one of torch's tensors is enough,
and the garbage collector does that in whatever thread it runs. Threads that are no daemons would
hold up a Ctrl-C for as long as the cluster is silent.

So the threads here are daemons that one hook ends, right before the interpreter goes. It is
`atexit`, as threads that are no daemons may read until then. No thread begins any more, those
that wait for the cluster are woken, by shutting down what they wait for, and leave as soon as they
want to wait again: `pause` and `leave_at_end` end any thread but the one that ends the process.
"""

from __future__ import annotations

import atexit
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from aisdatapipes.processes.per_process import PerProcess

__all__ = [
    "BackgroundPool",
    "add_connection",
    "close_result",
    "end_threads",
    "in_thread",
    "leave_at_end",
    "pause",
    "start_thread",
]

_T = TypeVar("_T")

_MOST_S = 1.0  # after a Ctrl-C nobody wants to wait for long
_STEP_S = 0.02


def in_thread(opening: Callable[[_T], Any], what: _T, opened: Future | None = None) -> Future:
    """Open in a thread that nobody has to wait for, not even the end of the process.

    Where the system has no thread left, or the process ends, it is opened here and now.

    Args:
        opening: What to call.
        what: What to call it with.
        opened: The future to return, a new one by default; for who has to know of it even if a
            Ctrl-C comes before this returns.

    Returns:
        A future of what `opening` returns; cancelled in time, it is not called.
    """
    opened = Future() if opened is None else opened
    work = partial(_settle, opened, partial(opening, what))
    if not start_thread(work):
        work()
    return opened


def start_thread(work: Callable[[], object]) -> bool:
    """Begin to work in a thread.

    Returns:
        Whether it has begun: not where the system has no thread left, or the process ends.
    """
    return _threads.get().start(work)


def close_result(opened: Future) -> None:
    """Close what was opened, where nobody will take it any more."""
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


class BackgroundPool(Executor):
    """Calls in a few threads; a ``with`` block that an error leaves makes those no more that wait.

    After a Ctrl-C it does not wait for those that are being made either: the standard library's
    pool would keep the process until the cluster answers.

    Args:
        most: How many threads.

    Example:
        >>> with BackgroundPool(2) as pool:
        ...     list(pool.map(abs, [-1, -2, -3]))
        [1, 2, 3]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._lock = threading.Lock()
        self._calls: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._all: list[Future] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call a function in one of the threads; return a future of its result."""
        future: Future = Future()
        with self._lock:
            self._calls.append((future, partial(fn, *args, **kwargs)))
            self._all.append(future)
            is_missing_thread = self._running < self._most
            self._running += is_missing_thread
        if is_missing_thread and not start_thread(self._work):
            self._work()
        return future

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        is_told_to_end = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not is_told_to_end, cancel_futures=kind is not None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what was submitted, or cancel what has not begun."""
        left = [future for future in self._all if not (cancel_futures and future.cancel())]
        if wait:
            wait_for(left)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._running -= 1
                    return
                call = self._calls.popleft()
            _settle(*call)


def pause(seconds: float) -> None:
    """Wait for so many seconds; in the background not beyond the end of the process."""
    leave_at_end()
    threads = _threads.get()
    wait = time.sleep if threads.over.is_set() else threads.over.wait
    wait(seconds)
    leave_at_end()


def leave_at_end() -> None:
    """End this thread if the process ends, but for the one that ends it.

    Raises:
        SystemExit: Nobody reports that of a thread.
    """
    if _threads.get().is_over_for_this_one():
        raise SystemExit


def add_connection(connection: socket.socket) -> None:
    """Know of a connection that threads may wait for; it is shut down when the process ends.

    Raises:
        SystemExit: The process ends already.
    """
    _threads.get().add_connection(connection)
    leave_at_end()


def end_threads() -> None:
    """End all threads in the background, and wait for that, but not for long."""
    _threads.get().end(_MOST_S)


class _Threads:
    """Those of one process."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._ended_by = 0
        # Reentrant, as a signal may come in between and its handler read too.
        self._lock = threading.RLock()
        self._alive: set[threading.Thread] = set()
        self._connections: WeakSet[socket.socket] = WeakSet()

    def start(self, work: Callable[[], object]) -> bool:
        with self._lock:
            if self.over.is_set():
                return False
            thread = threading.Thread(target=work, name="aisdatapipes", daemon=True)
            self._alive = {one for one in self._alive if one.is_alive()} | {thread}
            try:
                thread.start()
            except RuntimeError:
                self._alive.remove(thread)
                return False
            return True

    def add_connection(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def is_over_for_this_one(self) -> bool:
        return self.over.is_set() and threading.get_ident() != self._ended_by

    def end(self, most_s: float) -> None:
        with self._lock:
            self._ended_by = threading.get_ident()
            self.over.set()
        self._wake()
        until = time.monotonic() + most_s
        while any(thread.is_alive() for thread in self._alive) and time.monotonic() < until:
            time.sleep(_STEP_S)
            self._wake()  # again: a thread may just have connected

    def _wake(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                # Not the method of TLS's socket, which changes what another thread works with.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _settle(future: Future, call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised where the result is taken
        future.set_exception(error)


_threads = PerProcess(_Threads)

# Hooks run in reverse order. That of `weakref` counts what threads may still add to, so it is made
# to be there before ours: by any object whose end is watched.
weakref.finalize(_Threads, int).atexit = False
atexit.register(end_threads)
