"""Programs that local clusters run, and how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aisdatapipes.testing.process import KeptProcess
from support.processes import becomes


def test_a_program_that_has_just_ended_is_ended_again(tmp_path: Path) -> None:
    """For a moment the keeper outlives its program, whose process is gone by then."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    process = KeptProcess(tmp_path)
    process.run([sys.executable, "-c", "import time; time.sleep(60)"], {})
    assert becomes(lambda: len(process.pids) == 2)
    (tmp_path / "pid").write_text(str(gone.pid))
    process.end(force=True)
    process.wait()
    assert not process.is_running
