"""Accelerate: it shares loaders that it prepared, and we share those that it did not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from frameworks.front_ends import BATCH
from frameworks.record import Record
from support.torchrun import torchrun

JOB = Path(__file__).with_name("accelerate_job.py")
DATASETS = [(front_end, workers) for front_end in ("iter", "shards", "map") for workers in (0, 2)]
PREPARED = [
    f"{front} {workers} {way}" for way in ("dispatch", "shard") for front, workers in DATASETS
]
PLAIN = [f"{front} {workers} plain" for front in ("iter", "shards", "pipes") for workers in (0, 2)]


@pytest.fixture(scope="module")
def record(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What two ranks read of everything that raises nothing."""
    folder = tmp_path_factory.mktemp("accelerate")
    torchrun(endpoint, JOB, numbers, str(folder), *PREPARED, *PLAIN)
    return Record(folder)


@pytest.mark.parametrize("case", PREPARED)
def test_prepared_loaders_are_exact(record: Record, case: str) -> None:
    """Accelerate shares out all that there is, whether it dispatches batches or every rank reads.

    It fills up the last step of each worker. Where it dispatches batches, it cuts those in the
    middle of an epoch that do not divide by the ranks: of shards, the last one of a worker.
    """
    workers = int(case.split()[1])
    padding = 2 * BATCH * max(workers, 1)
    record.assert_exact(case, padding, lost=1 if case == "shards 2 dispatch" else 0)


@pytest.mark.parametrize("case", PLAIN)
def test_loaders_that_were_not_prepared_are_exact(record: Record, case: str) -> None:
    """In a job of Accelerate, a loader that it did not prepare is shared by our own rule."""
    record.assert_exact(case)


@pytest.mark.parametrize("case", ["pipes 0 dispatch"])
def test_prepared_pipes(endpoint: str, numbers: str, tmp_path: Path, case: str) -> None:
    """A pipe that is read in one rank for all is exact, whatever its sharding_filter was told."""
    torchrun(endpoint, JOB, numbers, str(tmp_path), case)
    Record(tmp_path).assert_exact(case, padding=2 * BATCH)


def test_pipes_that_shuffle_in_every_rank(endpoint: str, numbers: str, tmp_path: Path) -> None:
    """A pipe that every rank would read in another order is refused, with both parties named."""
    case = "pipes 2 shard"
    with suppress(AssertionError):  # of the job, which then wrote down its error
        torchrun(endpoint, JOB, numbers, str(tmp_path), case)
    errors = Record(tmp_path).errors(case)
    assert errors
    assert all("Accelerate" in error and "shuffle()" in error for error in errors)


def test_a_rank_that_is_given_too(endpoint: str, numbers: str, tmp_path: Path) -> None:
    """Where Accelerate shares, `rank` and `world_size` are refused by an error that names them."""
    case = "iter 0 rank"
    with suppress(AssertionError):
        torchrun(endpoint, JOB, numbers, str(tmp_path), case)
    errors = Record(tmp_path).errors(case)
    assert errors
    assert all("Accelerate" in error and "rank=" in error for error in errors)
