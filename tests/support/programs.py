"""The programs that the tests start, and what else they fetch; run as a script, all of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from aisdatapipes.testing.binary import build_once, cache_folder, find_aisnode, find_authn

TAGS = ("aws", "etl", "gcp")
"""What the tests need of ``aisnode``: one build for all of them, as a build takes minutes."""

_FAKE_GCS = "github.com/fsouza/fake-gcs-server"
_RECIPE = Path(__file__).with_name("fakegcs")


def find_fake_gcs() -> Path:
    """Return the emulator of Google Cloud Storage; build it if there is none.

    Its ``go.mod`` has the versions of AIStore's wherever both need a module, so that Go builds
    those once.
    """
    pinned = re.search(rf"{_FAKE_GCS} (\S+)", (_RECIPE / "go.mod").read_text())
    assert pinned
    program = cache_folder() / f"fake-gcs-server-{pinned[1]}" / "fake-gcs-server"
    return program if program.exists() else build_once(_RECIPE, _FAKE_GCS, program)


def find_torchdata_nodes() -> Path:
    """Return a folder with the latest torchdata and nothing else; fetch it if there is none."""
    return _find_torchdata("0.11.0")


def find_torchdata_pipes() -> Path:
    """Return a folder with the last torchdata that has pipes, likewise."""
    return _find_torchdata("0.9.0")


def _find_torchdata(version: str) -> Path:
    """Return a folder with a torchdata: before the installed one on the path of a process.

    It needs no second torch.
    """
    folder = cache_folder() / f"torchdata-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
                pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
                package = f"torchdata=={version}"
                subprocess.run([*pip, "--target", f"{fresh}/all", package], check=True)
                Path(fresh, "all").replace(folder)
    return folder


if __name__ == "__main__":
    find_aisnode(TAGS)
    find_authn()
    find_fake_gcs()
    find_torchdata_nodes()
    find_torchdata_pipes()
