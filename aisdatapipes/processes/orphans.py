"""Orphans: DataLoader workers whose training process is gone end too.

Torch's workers notice it, after seconds, where they wait for something to do. But one that was
forked and has batches which nobody fetched waits for ever at its end to hand them over: the pipe
is open in its siblings, and in itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from aisdatapipes.processes.background import leave_at_end, start_thread
from aisdatapipes.processes.per_process import PerProcess

__all__ = ["end_with_parent"]

_LOOK_AGAIN_S = 0.5


def end_with_parent() -> None:
    """In a worker of a DataLoader, end when the process that started it does; else nothing."""
    _watch.get()


def _begin_to_watch() -> bool:
    parent = multiprocessing.parent_process()
    if parent is None or not _is_worker():
        return False
    return start_thread(partial(_end_after, parent, os.getppid()))


def _is_worker() -> bool:
    # Whoever has not imported it, or is about to in another thread, is none.
    get_worker_info = getattr(sys.modules.get("torch.utils.data"), "get_worker_info", None)
    return get_worker_info is not None and get_worker_info() is not None


def _end_after(parent: Any, starter_pid: int) -> None:
    """End this process when its parent is gone.

    Args:
        parent: The training process, as multiprocessing has it.
        starter_pid: ID of the process that forked this one, which may be the fork server.
    """
    # The sentinel alone is not enough: siblings that were forked later keep it from being ready.
    while os.getppid() == starter_pid and _is_there(parent.pid):
        if wait([parent.sentinel], _LOOK_AGAIN_S):
            break
        leave_at_end()
    # Nobody can take what it has, nor hear of it.
    os._exit(1)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


_watch = PerProcess(_begin_to_watch)
