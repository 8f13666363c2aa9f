"""Scripts in several ranks on this machine, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]


def torchrun(endpoint: str, script: Path, *arguments: str, ranks: int = 2) -> str:
    """Run a script in ranks that meet on this machine; return what they print."""
    command: Sequence[str] = [
        *(sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}"),
        # Port 0: the system picks one.
        *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"),
        *(str(script), *arguments),
    ]
    return run_job(endpoint, command)


def run_job(endpoint: str, command: Sequence[str]) -> str:
    """Run a program that starts ranks on this machine itself; return what they print."""
    environment = {
        **os.environ,
        "AIS_ENDPOINT": endpoint,
        # What pytest gives the tests, and not what they start.
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        # What they train with asks nobody on the net.
        "HF_HUB_OFFLINE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
