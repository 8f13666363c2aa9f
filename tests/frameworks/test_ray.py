"""Ray Train, with two workers on this machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from frameworks.record import Record
from support.processes import commands_with
from support.torchrun import run_job

JOB = Path(__file__).with_name("ray_job.py")


@pytest.fixture(scope="module")
def record(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What two workers read; nothing of Ray outlives the job."""
    folder = tmp_path_factory.mktemp("ray")
    # Ray's sockets lie in it, whose paths have to be short.
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:
        run_job(endpoint, [sys.executable, str(JOB), numbers, str(folder), temporary])
        assert not commands_with(temporary)
    return Record(folder)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("front_end", ["iter", "shards", "map", "pipes"])
def test_two_workers_get_everything(record: Record, front_end: str, workers: int) -> None:
    """Ray Train leaves iterable datasets alone, and their own sharing is exact.

    Of a map dataset its sampler repeats one, as two ranks cannot have equally many.
    """
    record.assert_exact(f"{front_end} {workers}", padding=front_end == "map")
