"""What the tests ask about processes."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from aisdatapipes.cli import main


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # a system without /proc, or it has just ended
        return not Path("/proc/self").exists()
    return state != "Z"


def becomes(claim: Callable[[], bool], timeout_s: float = 30) -> bool:
    """Whether `claim` turns true in time."""
    deadline = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def commands_with(text: str) -> list[bytes]:
    """Return the command lines on this machine that have a text in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        found += [command] if text.encode() in command else []
    return found


def heed_interrupts() -> None:
    """Undo what a shell does to the jobs it starts in the background: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def open_files() -> int:
    """Return how many files this process has open, sockets and pipes left out."""
    gc.collect()
    return sum(map(_is_open_file, Path("/dev/fd").iterdir()))


def _is_open_file(descriptor: Path) -> bool:
    try:
        return stat.S_ISREG(os.fstat(int(descriptor.name)).st_mode)
    except OSError:  # that of the listing itself
        return False


def errors_of(code: str, warnings: str = "error") -> str:
    """Run Python code in a process of its own; return what it wrote to its standard error.

    Args:
        code: What to run.
        warnings: What becomes of warnings there; by default they are errors.
    """
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stderr or f"exit status {done.returncode}" * bool(done.returncode)


def forked_command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of the package in a child of this process, which has imported all already.

    Args:
        arguments: Those of the command line.
        folder: Where to run.
        environment: Variables that it has more.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _be_command(arguments, folder, environment, (out.fileno(), err.fileno()))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = [os.pread(file.fileno(), 2**24, 0).decode() for file in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *texts)


def _be_command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], files: tuple[int, int]
) -> NoReturn:
    code = 70
    try:
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(folder)
        os.environ.update(environment)
        try:
            code = main(arguments)
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
        except Exception:  # noqa: BLE001 - as the interpreter would
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
