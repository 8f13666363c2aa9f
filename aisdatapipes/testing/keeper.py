"""Run one node as a child and end it with its parent; a program of its own, standard library only.

``keeper.py PARENT FOLDER LITTER COMMAND...`` starts ``COMMAND`` and writes its process id to
``FOLDER/pid``. It ends the node on SIGTERM (in good order, after a while by force), on SIGUSR1
(by force), and as soon as the process ``PARENT`` is gone, however that died: in good order, or,
if ``LITTER`` is not empty but names a folder, by force, and then it removes that folder. It ends
with the node.

The parent's death shows as a new parent process id. A pipe would be simpler, and wrong: forked
DataLoader workers inherit its end and keep it open.
"""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_S = 0.2
GRACE_S = 10.0
GENTLE = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Keeper:
    """One node, and the ways to end it."""

    def __init__(self, parent: int, folder: Path, litter: str) -> None:
        self._parent = parent
        self._folder = folder
        self._litter = litter
        self._asked: set[int] = set()
        self._deadline: float | None = None

    def has_parent(self) -> bool:
        """Whether the process that asked for this node still lives."""
        return os.getppid() == self._parent

    def keep(self, command: list[str]) -> int:
        """Run `command` until it ends or should end; return its exit code."""
        # Handlers only take note: a signal that arrives before the node is there counts as well.
        woken = self._listen()
        node = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            self._tell(node.pid)
            while node.poll() is None:
                self._end_if_asked(node)
                if select.select([woken], [], [], POLL_S)[0]:
                    os.read(woken, 512)
        finally:
            node.kill()
        return node.wait()

    def _listen(self) -> int:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (*GENTLE, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda number, _: self._asked.add(number))
        return reader

    def _tell(self, pid: int) -> None:
        draft = self._folder / "pid.draft"
        draft.write_text(str(pid))
        draft.replace(self._folder / "pid")  # readers see all digits or no file

    def _end_if_asked(self, node: subprocess.Popen[bytes]) -> None:
        is_orphan = not self.has_parent()
        if self._deadline is None and (self._asked & GENTLE or is_orphan):
            self._deadline = time.monotonic() + GRACE_S
            node.terminate()
        is_late = self._deadline is not None and time.monotonic() > self._deadline
        if is_late or signal.SIGUSR1 in self._asked or (is_orphan and self._litter):
            node.kill()


def main(parent: int, folder: Path, litter: str, command: list[str]) -> int:
    """Keep one node until it ends; return its exit code."""
    keeper = Keeper(parent, folder, litter)
    with (folder / "lock").open("w") as lock:
        # Held as long as the node lives; it tells the next cluster that the folder is in use.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        code = keeper.keep(command)
    if litter and not keeper.has_parent():
        shutil.rmtree(litter, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
