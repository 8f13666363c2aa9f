"""Loader board: what a process and the DataLoader workers that it starts tell each other.

torch hands a worker a copy of the dataset and nothing after that, and a worker hands nothing
back. So what `set_epoch` and `load_state_dict` say in the training process, and which passes
have begun, stands in a file that they share. It has an entry for each training process, by its
process id: ranks that were started with copies of one dataset do not hear of each other.

Every pass has a number of its own: an epoch, which was set or loaded, and the turn, that is how
many passes have begun since. All workers of one pass of a loader get the same: the first one to
begin takes the number, and the others find it on the board.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from aisdatapipes.processes.shared_file import SharedFile

__all__ = ["LatestPass", "LoaderBoard", "Pass"]

# Passes that some worker never began stay open; so many are kept.
_MOST_OPEN = 16


class Pass(NamedTuple):
    """What a process finds when it begins a pass.

    Attributes:
        epoch: The epoch that was set or loaded before it; 0 if none was.
        turn: How many passes have begun since.
        is_set: Whether it is the first one since `LoaderBoard.set_epoch`.
        state: The state that was loaded for it, in the training process.
    """

    epoch: int = 0
    turn: int = 0
    is_set: bool = False
    state: dict[str, Any] | None = None


class LatestPass(NamedTuple):
    """What a training process knows of its latest pass.

    Attributes:
        state: Where the next one begins, if a state was loaded and no pass began with it.
        is_of_workers: Whether it began in workers, and no state was loaded since.
    """

    state: dict[str, Any] | None
    is_of_workers: bool


class LoaderBoard:
    """The entry of this training process; in a DataLoader worker, that of the one it works for.

    Copies of a dataset, by `copy` or `pickle`, have a board of their own, with what was on it.

    Example:
        >>> board = LoaderBoard()
        >>> board.set_epoch(3)
        >>> board.begin_pass()
        Pass(epoch=3, turn=0, is_set=True, state=None)
        >>> board.begin_pass()
        Pass(epoch=3, turn=1, is_set=False, state=None)
    """

    def __init__(self) -> None:
        self._file = SharedFile(b"{}")
        self._next = Pass()._asdict()  # for training processes that are started with a copy

    def __getstate__(self) -> dict[str, Any]:
        return {"_file": self._file, "_next": self.next_pass()._asdict()}

    def next_pass(self) -> Pass:
        """Return what the next pass will find, if nothing more is said."""
        return Pass(**self._read()["next"])

    def set_epoch(self, epoch: int, turn: int = 0) -> None:
        """Say which epoch comes next, and which turn of it."""
        with self._changed() as entry:
            entry["next"].update(epoch=epoch, turn=turn, is_set=True)
        self._next = dict(entry["next"])

    def load_state(self, state: Mapping[str, Any], epoch: int, turn: int) -> None:
        """Say where the next pass begins, in this process or in the workers of a loader."""
        with self._changed() as entry:
            if not entry["next"]["is_set"]:
                entry["next"].update(epoch=epoch, turn=turn)
            entry["next"]["state"] = dict(state)
            entry["workers_read"] = False
        self._next = dict(entry["next"])

    def begin_pass(self, loaded: tuple[int, int] | None = None) -> Pass:
        """Say that a pass begins in this process, or that this worker joins one.

        Args:
            loaded: Epoch and turn of a state that this worker was given for itself.
        """
        worker = get_worker_info()
        with self._changed() as entry:
            entry["workers_read"] = worker is not None
            if worker is None:
                begun = _take_next(entry, loaded)
                self._next = dict(entry["next"])
                return begun
            # Equal in all workers of a pass. The next pass has another one, or, if the user seeds
            # torch again, the same; then each worker finds that it has begun the one before.
            key = f"{worker.seed - worker.id}/{worker.num_workers}"
            passes = entry.setdefault("open", {})
            if key not in passes or worker.id in passes[key]["workers"]:
                passes.pop(key, None)
                passes[key] = {"pass": _take_next(entry, loaded)._asdict(), "workers": []}
            found = passes[key]
            found["workers"].append(worker.id)
            if len(found["workers"]) == worker.num_workers:
                del passes[key]
            for old in [*passes][:-_MOST_OPEN]:
                del passes[old]
            return Pass(**found["pass"])

    def latest_pass(self) -> LatestPass:
        """Return what is known here of the latest pass."""
        entry = self._read()
        return LatestPass(entry["next"]["state"], entry.get("workers_read", False))

    def _read(self) -> dict[str, Any]:
        with self._file.locked():
            return json.loads(self._file.read()).get(_owner(), {"next": self._next})

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        with self._file.locked():
            board = json.loads(self._file.read())
            yield board.setdefault(_owner(), {"next": dict(self._next)})
            self._file.replace(json.dumps(board).encode())


def _take_next(entry: dict[str, Any], loaded: tuple[int, int] | None) -> Pass:
    """Return the pass that comes next, and put the one behind it in its place."""
    found = Pass(**entry["next"])
    if loaded and not found.is_set:
        found = found._replace(epoch=loaded[0], turn=loaded[1])
    entry["next"] = Pass(found.epoch, found.turn + 1)._asdict()
    return found


def _owner() -> str:
    parent = multiprocessing.parent_process() if get_worker_info() else None
    return str(parent.pid if parent else os.getpid())
