"""The trainer of Hugging Face, in two ranks: what reaches its loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from frameworks.front_ends import BATCH
from frameworks.record import Record
from support.torchrun import torchrun

JOB = Path(__file__).with_name("trainer_job.py")


@pytest.fixture(scope="module")
def record(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What two ranks read."""
    folder = tmp_path_factory.mktemp("trainer")
    torchrun(endpoint, JOB, numbers, str(folder))
    return Record(folder)


@pytest.mark.parametrize("how", ["epochs", "steps"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("front_end", ["iter", "map"])
def test_the_loss_gets_everything(record: Record, front_end: str, workers: int, how: str) -> None:
    """Two epochs, said in epochs or in steps, have everything; the last step is filled up."""
    record.assert_exact(f"{front_end} {workers} {how}", padding=BATCH)
