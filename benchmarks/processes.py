"""The processes of the benchmark: one for each reader, and the proxy that makes answers late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from benchmarks.job import Job, Run

__all__ = ["ReaderError", "ReaderProcess", "late_endpoint"]

_ROOT = Path(__file__).parent.parent
# Where `make bench` puts the last SDK that torchdata's own pipes work with.
_PAST = _ROOT / ".venv-peer"
_END_S = 20.0


class ReaderError(RuntimeError):
    """A reader failed; holds the last line that its process wrote."""


class ReaderProcess:
    """A reader in a process of its own, which starts at once.

    Args:
        function: The reader, ``module:function`` in `benchmarks.readers`.
        job: What it reads.
        is_of_the_past: Whether it needs the SDK of the past.
    """

    def __init__(self, function: str, job: Job, *, is_of_the_past: bool = False) -> None:
        # It is killed at its end, and so cannot remove what it leaves there.
        self._folder = tempfile.TemporaryDirectory(prefix="aisdatapipes-bench-")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=_ROOT,
            env={**_environment(is_of_the_past), "TMPDIR": self._folder.name},
        )
        self._questions = cast("IO[str]", self._process.stdin)
        self._answers = cast("IO[str]", self._process.stdout)
        self._is_ready = False
        self._say(job.to_json())

    def wait_until_ready(self) -> None:
        """Return when it has imported everything.

        Raises:
            ReaderError: It failed.
        """
        if not self._is_ready:
            self._hear()
            self._is_ready = True

    def run(self, most: int = 0) -> Run:
        """Let it read, and return what it measured.

        Args:
            most: After how many items to stop; 0 for none.

        Raises:
            ReaderError: It failed.
        """
        self.wait_until_ready()
        self._say(str(most))
        return Run(**json.loads(self._hear()))

    def close(self) -> None:
        """End its input, and the process with it: Ray ends in good order only."""
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def _say(self, line: str) -> None:
        with suppress(BrokenPipeError):  # why it ended is heard next
            self._questions.write(f"{line}\n")
            self._questions.flush()

    def _hear(self) -> str:
        if answer := self._answers.readline():
            return answer
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ["it ended without a word"]
        raise ReaderError(lines[-1])


@contextmanager
def late_endpoint(nodes: list[str], delay_s: float) -> Iterator[str]:
    """Make a cluster answer late.

    Args:
        nodes: Addresses of its nodes, the proxy first.
        delay_s: Seconds that every answer waits.

    Yields:
        The address to use instead of the proxy's; the cluster's own if there is no delay.
    """
    if not delay_s:
        yield nodes[0]
        return
    command = [sys.executable, "-m", "benchmarks.latency", str(delay_s), *nodes]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as proxy:
        try:
            yield json.loads(cast("IO[str]", proxy.stdout).readline())[0]
        finally:
            proxy.kill()


def _environment(is_of_the_past: bool) -> Mapping[str, str]:
    # The readers get all their settings from the job; a cluster of the user's is none of theirs.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIS_")}
    return inherited | {"PYTHONPATH": str(_PAST)} if is_of_the_past else inherited
