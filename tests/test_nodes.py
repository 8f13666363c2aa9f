"""The nodes, in a process whose torchdata has ``torchdata.nodes``: the tests of `nodes_suite`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from support.programs import find_torchdata_nodes

SUITE = Path(__file__).parent / "support" / "nodes_suite.py"


def test_nodes() -> None:
    """All tests of the nodes pass there, and none is left out."""
    latest = [] if find_spec("torchdata.nodes") else [str(find_torchdata_nodes())]
    path = os.pathsep.join([*latest, *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SUITE],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed in", done.stdout, re.MULTILINE), done.stdout
