"""Plain torchrun: ranks with a process group, and nothing else that shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from frameworks.front_ends import numbers_in
from frameworks.record import Record
from support.torchrun import torchrun

JOB = Path(__file__).with_name("torchrun_job.py")


@pytest.fixture(scope="module")
def record(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What two ranks read."""
    folder = tmp_path_factory.mktemp("torchrun")
    torchrun(endpoint, JOB, numbers, str(folder))
    return Record(folder)


@pytest.mark.parametrize("how", ["0", "2"])
@pytest.mark.parametrize("front_end", ["iter", "shards", "pipes"])
def test_loaders_are_exact(record: Record, front_end: str, how: str) -> None:
    """In a DataLoader, with workers or without, everything comes once, in a new order."""
    record.assert_exact(f"{front_end} {how}")


@pytest.mark.parametrize("front_end", ["iter", "shards"])
def test_datasets_alone_are_exact(record: Record, front_end: str) -> None:
    """Without a DataLoader too; the ranks of shards make equally many steps of one sample."""
    record.assert_exact(f"{front_end} alone")


def test_pipes_alone_say_so(record: Record) -> None:
    """Nobody applies the `sharding_filter` of a pipe that is read without a DataLoader.

    Every rank has everything, and each is warned once, for two epochs.
    """
    _, second = record.epochs("pipes alone")
    for line in second:
        assert set(line["batches"][0]) == numbers_in("pipes")
        assert len([text for text in line["warnings"] if "sharding_filter" in text]) == 1


def test_ranks_off(record: Record) -> None:
    """With ``ranks="off"`` every rank reads everything, once in each epoch."""
    for epoch in record.epochs("iter off"):
        for line in epoch:
            assert sorted(line["batches"][0]) == sorted(numbers_in("iter"))
