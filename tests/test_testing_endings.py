"""However a local cluster or token server ends, no process and no temporary folder is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import becomes, heed_interrupts, is_alive

# What ends a script, and the exit code that it leaves.
ENDINGS = {
    "block": 0,
    "exception": 1,
    "SIGINT": -signal.SIGINT,
    "SIGTERM": -signal.SIGTERM,
    "SIGKILL": -signal.SIGKILL,
}
SCRIPT = """
import signal, sys
from aisdatapipes.testing import AuthnServer, LocalCluster
with AuthnServer() as authn, LocalCluster(auth_secret=authn.secret) as cluster:
    if sys.argv[1] == "SIGKILL":
        cluster.pause_target(0)  # what stands still ends all the same
    print(*authn.pids, *cluster.pids, flush=True)
    if sys.argv[1] == "exception":
        raise LookupError("on purpose")
    if sys.argv[1] != "block":
        signal.pause()
"""


@pytest.fixture(scope="module")
def scripts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[subprocess.Popen[str], Path]]]:
    """A process with a cluster of its own for each ending, and its folder for temporary files."""
    started = {}
    for ending in ENDINGS:
        folder = tmp_path_factory.mktemp(ending)
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, ending],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        started[ending] = process, folder
    yield started
    for process, _ in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left(
    scripts: dict[str, tuple[subprocess.Popen[str], Path]], ending: str
) -> None:
    """However the process ends, all programs, keepers and temporary folders go."""
    process, folder = scripts[ending]
    assert process.stdout
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 6
    if ending.startswith("SIG"):
        assert all(is_alive(pid) for pid in pids)
        assert len(list(folder.iterdir())) == 2
        os.killpg(process.pid, getattr(signal, ending))  # as a terminal does
    assert process.wait(timeout=60) == ENDINGS[ending]
    assert becomes(lambda: not any(is_alive(pid) for pid in pids))
    assert becomes(lambda: not list(folder.iterdir()))
