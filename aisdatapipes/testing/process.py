"""One program, run by a keeper: it ends when it is told to, and when this process is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aisdatapipes.testing.errors import ClusterStartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEEPER = Path(__file__).with_name("keeper.py")
_TAIL_LINES = 20


class KeptProcess:
    """A program in a folder of its own, that can be stopped and started again there.

    Args:
        folder: Its working directory; what it writes goes to ``output.log`` there.
        litter: Folder to remove when this process dies; None keeps everything.
    """

    def __init__(self, folder: Path, litter: Path | None = None) -> None:
        self.folder = folder
        self._litter = litter
        self._keeper: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return self.folder.name

    def wait_until_left(self, timeout_s: float) -> None:
        """Return when no other process uses the folder; make it if need be.

        Raises:
            ClusterStartError: If one still does after `timeout_s` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        while _is_locked(self.folder / "lock"):
            if time.monotonic() > deadline:
                raise ClusterStartError(
                    f"{self.folder} is in use by another local cluster; end that one first"
                )
            time.sleep(0.1)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the program; it is not ready yet when this returns.

        Args:
            command: The program and its arguments.
            environment: Its variables. ``PATH`` and a ``HOME`` of its own are added, and nothing
                else is passed on: ``AWS_CA_BUNDLE``, ``AIS_*`` and the like change what it does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)}
        with self._output.open("wb") as output:
            self._keeper = subprocess.Popen(
                [*self._keeper_command(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**own, **environment},
                start_new_session=True,  # a Ctrl-C in the terminal is for the parent only
            )

    def pause(self) -> None:
        """Stop the program by SIGSTOP: it keeps all it has, and does nothing until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on; does nothing to one that runs."""
        self._signal(signal.SIGCONT)

    def end(self, *, force: bool = False) -> None:
        """Ask the process to end, or end it by SIGKILL; it may live on when this returns."""
        if self._keeper is not None:
            self.resume()  # a paused one would not hear that it is asked
            self._keeper.send_signal(signal.SIGUSR1 if force else signal.SIGTERM)

    def wait(self) -> None:
        """Return when the process and its keeper are gone."""
        if self._keeper is not None:
            self._keeper.wait()

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def pids(self) -> list[int]:
        """The process ids of the keeper and of the program; empty when it does not run."""
        if self._keeper is None or not self.is_running:
            return []
        pid = self.folder / "pid"
        return [self._keeper.pid, *([int(pid.read_text())] if pid.exists() else [])]

    @property
    def has_port_clash(self) -> bool:
        """Whether somebody else took one of the ports before the program did."""
        return b"address already in use" in self._output.read_bytes()

    def output(self) -> str:
        """What the program has written until now."""
        return self._output.read_text(errors="replace")

    def tail(self) -> str:
        """The last lines of what the program wrote."""
        return "\n".join(self.output().splitlines()[-_TAIL_LINES:]) or "(no output)"

    @property
    def _output(self) -> Path:
        return self.folder / "output.log"

    def _signal(self, number: int) -> None:
        # The program and not its keeper, which has to see how this process ends.
        for pid in self.pids[1:]:
            with contextlib.suppress(ProcessLookupError):  # ended, and its keeper is about to
                os.kill(pid, number)

    def _keeper_command(self) -> list[str]:
        # By path and isolated: `-m` would import the package, and torch with it.
        python = [sys.executable, "-I", "-S", str(_KEEPER)]
        return [*python, str(os.getpid()), str(self.folder), str(self._litter or "")]


def _is_locked(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
