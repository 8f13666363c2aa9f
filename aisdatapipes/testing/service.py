"""What a cluster and its helpers have in common: processes that live as long as a block."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aisdatapipes.testing.startup import end_all

if TYPE_CHECKING:
    from types import TracebackType

    from aisdatapipes.testing.process import KeptProcess

_T = TypeVar("_T", bound="LocalService")


class LocalService:
    """Processes on this machine that end with the block, and with this process.

    A subclass says how they start, and where they are reached.

    Args:
        directory: Where they keep everything, and it stays; default a temporary folder.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = directory
        self._processes: list[KeptProcess] = []
        self._temporary: Path | None = None
        self._owner: int | None = None

    def __enter__(self: _T) -> _T:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Where it is reached, such as ``http://127.0.0.1:41001``.

        Raises:
            RuntimeError: If it does not run.
        """
        self._check_running()
        return self._url()

    @property
    def pids(self) -> list[int]:
        """Ids of all processes that run now: the programs, and a keeper for each."""
        return [pid for process in self._processes for pid in process.pids]

    def start(self: _T) -> _T:
        """Start all processes and return when they serve; ``with`` does this for you.

        Returns:
            The service itself.

        Raises:
            BinaryNotFoundError: If there is no program and no Go to build it with.
            ClusterStartError: If a process ends or is not ready in time.
            RuntimeError: If it runs already.
        """
        if self._processes:
            raise RuntimeError(f"{type(self).__name__} at {self.endpoint} runs already")
        self._owner = os.getpid()
        try:
            if self._directory is None:
                self._temporary = Path(tempfile.mkdtemp(prefix="aisdatapipes-"))
            self._start_in(Path(self._directory or self._temporary or "").resolve())
        except BaseException:
            end_all(self._processes, force=True)
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all processes and return when they are gone; a temporary folder goes too.

        Does nothing on what does not run, and in a forked child of the process that started it.
        """
        if self._owner != os.getpid():
            return
        try:
            # What is about to be removed needs no good order.
            end_all(self._processes, force=self._temporary is not None)
        finally:
            self._processes = []
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
                self._temporary = None

    def _check_running(self) -> None:
        if not self._processes:
            raise RuntimeError(f"{type(self).__name__} does not run; use it in a `with` block")

    def _start_in(self, folder: Path) -> None:
        """Fill ``_processes``, start them in `folder` and return when they serve."""
        raise NotImplementedError

    def _url(self) -> str:
        raise NotImplementedError
