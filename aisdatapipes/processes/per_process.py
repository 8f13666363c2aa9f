"""Per process: what every process makes for itself, and a forked child makes again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakSet

__all__ = ["PerProcess"]

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """A value that is made at the first use in a process; a forked child starts without it.

    So no process uses the sockets of another one, and none waits for a lock that a thread of its
    parent held at the fork. Threads of a process share the value.

    Args:
        make: Makes it; what it raises is raised, and the next use tries again.

    Example:
        >>> sessions = PerProcess(dict)
        >>> sessions.get() is sessions.get()
        True
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._forget()
        _all.add(self)

    def get(self) -> _T:
        """Return the value of this process."""
        made = self._made
        if not made:
            with self._lock:
                if not made:
                    made.append(self._make())
        return made[0]

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._made: list[_T] = []

    def __reduce__(self) -> tuple[type[PerProcess[_T]], tuple[Callable[[], _T]]]:
        return type(self), (self._make,)


_all: WeakSet[PerProcess] = WeakSet()


def _forget_all() -> None:
    for one in list(_all):
        one._forget()


os.register_at_fork(after_in_child=_forget_all)
