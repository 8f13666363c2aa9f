"""Loader board: what a process and the DataLoader workers that it starts tell each other.

torch hands a worker a copy of the dataset and nothing after that, and a worker hands nothing
back. So what `set_epoch` and `load_state_dict` say in the training process, and that workers
have begun, stands in a file that they share. It has an entry for each training process, by its
process id: ranks that were started with copies of one dataset do not hear of each other.
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

__all__ = ["LatestPass", "LoaderBoard"]


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
        >>> board.epoch(), board.begin_pass()
        (3, None)
    """

    def __init__(self) -> None:
        self._file = SharedFile(b"{}")
        self._said: dict[str, Any] = {}  # for training processes that are started with a copy

    def __getstate__(self) -> dict[str, Any]:
        return {"_file": self._file, "_said": _for_others(self._read())}

    def epoch(self) -> int | None:
        """Return the number that was set, else that of the state that was loaded, else None."""
        entry = self._read()
        return entry.get("set_epoch", entry.get("loaded_epoch"))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self._say(set_epoch=epoch)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Say where the next pass begins, in this process or in the workers of a loader."""
        self._say(loaded_epoch=state["epoch"], state=dict(state), passes={}, workers_read=False)

    def set_loaded_epoch(self, epoch: int) -> None:
        """Say which epoch the state was of that a worker was given for itself."""
        self._say(loaded_epoch=epoch)

    def begin_pass(self) -> dict[str, Any] | None:
        """Say that a pass begins in this process.

        Returns:
            The state that was loaded, once: in one pass here, or in each worker of a pass.
        """
        worker = get_worker_info()
        with self._changed() as entry:
            entry["workers_read"] = worker is not None
            if "state" not in entry:
                return None
            passes = entry.setdefault("passes", {})
            if worker is None:
                self._said.pop("state", None)
                return None if passes else entry.pop("state")
            # Equal in all workers of a pass. The next pass has another one, or, if the user seeds
            # torch again, the same; then each worker finds that it has had the state.
            this_pass = worker.seed - worker.id
            if str(worker.id) in passes or any(one != this_pass for one in passes.values()):
                return None
            passes[str(worker.id)] = this_pass
            return entry.pop("state") if len(passes) == worker.num_workers else entry["state"]

    def latest_pass(self) -> LatestPass:
        """Return what is known here of the latest pass."""
        entry = self._read()
        state = None if entry.get("passes") else entry.get("state")
        return LatestPass(state, entry.get("workers_read", False))

    def _say(self, **words: Any) -> None:
        with self._changed() as entry:
            entry.update(words)
        self._said = _for_others(entry)

    def _read(self) -> dict[str, Any]:
        with self._file.locked():
            return json.loads(self._file.read()).get(_owner(), self._said)

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        with self._file.locked():
            board = json.loads(self._file.read())
            yield board.setdefault(_owner(), dict(self._said))
            self._file.replace(json.dumps(board).encode())


def _for_others(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry says to a training process that is started with a copy."""
    names = ["set_epoch", "loaded_epoch", *([] if entry.get("passes") else ["state"])]
    return {name: entry[name] for name in names if name in entry}


def _owner() -> str:
    parent = multiprocessing.parent_process() if get_worker_info() else None
    return str(parent.pid if parent else os.getpid())
