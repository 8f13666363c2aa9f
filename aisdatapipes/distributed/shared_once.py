"""Shared once: what one process works out, and those that have a copy of it just read."""

from __future__ import annotations

import fcntl
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from aisdatapipes.distributed.world import share_between_ranks
from aisdatapipes.processes.shared_folder import remove_with

__all__ = ["SharedOnce"]


class SharedOnce:
    """Bytes that are made when somebody first wants them, once for a dataset and its workers.

    Forked and pickled copies share them through a file in a private temporary folder, which
    goes with the object that was made first; a copy that outlives it makes them again. Of
    several ranks with a process group, one makes them for all.

    Args:
        key: What it is, the same text in all ranks.

    Example:
        >>> once = SharedOnce("greeting")
        >>> once.get(lambda: b"hello"), once.get(lambda: b"good bye")
        (b'hello', b'hello')
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._folder = str(Path(tempfile.gettempdir(), f"aisdatapipes-once-{uuid.uuid4().hex}"))
        remove_with(self, self._folder)

    def get(self, build: Callable[[], bytes]) -> bytes:
        """Return what `build` returned in the process that came first; others wait for it.

        Args:
            build: Makes it; what it raises is raised here, and the next one tries again.
        """
        folder = Path(self._folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        with folder.joinpath("lock").open("w") as lock:
            # Let go of when the process ends, be it killed.
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = folder / "made"
            if made.exists():
                return made.read_bytes()
            result = share_between_ranks(self._key, build)
            unfinished = folder / "unfinished"
            unfinished.write_bytes(result)
            unfinished.replace(made)
            return result
