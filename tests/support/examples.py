"""The examples, run as their own texts say, on a cluster that is started here.

Run as a script, it runs all of them; a new one needs a line in `ARGUMENTS`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from aisdatapipes.testing import LocalCluster
from support.digits import store_digits

EXAMPLES = Path(__file__).parents[2] / "examples"

TORCHRUN = (
    *("-m", "torch.distributed.run", "--nproc-per-node=2"),
    # Port 0: the system picks one.
    *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"),
)

ARGUMENTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "ray_data.py": ((), ("ais://digits/",)),
    "ray_train.py": ((), ("ais://digits/", "fsspec+ais://runs/all", "--epochs=2")),
    "train_ddp.py": (TORCHRUN, ("ais://digits/", "{folder}/digits.pt", "--epochs=2")),
}
"""What comes before and behind the name of each."""


def environment_for(endpoint: str) -> dict[str, str]:
    """Return what examples see on this machine: the cluster, and nobody on the net."""
    return {
        **os.environ,
        "AIS_ENDPOINT": endpoint,
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def run_all(endpoint: str) -> None:
    """Run every example; a cluster at `endpoint` has the digits and a bucket ``runs``.

    Raises:
        CalledProcessError: One failed.
        KeyError: Nobody says how to run one.
    """
    for path in sorted(EXAMPLES.glob("*.py")):
        before, behind = ARGUMENTS[path.name]
        with tempfile.TemporaryDirectory() as folder:
            arguments = [argument.format(folder=folder) for argument in behind]
            print(path.name, *arguments, flush=True)  # noqa: T201
            command = [sys.executable, *before, str(path), *arguments]
            subprocess.run(command, env=environment_for(endpoint), check=True)


if __name__ == "__main__":
    with LocalCluster() as cluster:
        store_digits(cluster.client().bucket("digits").create())
        cluster.client().bucket("runs").create()
        run_all(cluster.endpoint)
