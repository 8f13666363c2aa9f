"""The programs that the tests start; run as a script, this builds all of them."""

from __future__ import annotations

import re
from pathlib import Path

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


if __name__ == "__main__":
    find_aisnode(TAGS)
    find_authn()
    find_fake_gcs()
