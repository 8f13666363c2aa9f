"""Lightning, with one device and with two: what reaches a module's steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from frameworks.record import Record
from support.torchrun import run_job

JOB = Path(__file__).with_name("lightning_job.py")
CASES = [
    f"{front_end} {workers} {sampler}"
    for front_end in ("iter", "shards", "map", "pipes")
    for workers in (0, 2)
    for sampler in ("sampler", "no sampler")
    if (front_end, sampler) != ("map", "no sampler")
]


def record_of(devices: int, endpoint: str, numbers: str, factory: pytest.TempPathFactory) -> Record:
    """Fit everything once."""
    folder = factory.mktemp("lightning")
    run_job(endpoint, [sys.executable, str(JOB), numbers, str(folder), str(devices)])
    return Record(folder)


@pytest.fixture(scope="module")
def one(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What one device reads."""
    return record_of(1, endpoint, numbers, tmp_path_factory)


@pytest.fixture(scope="module")
def two(endpoint: str, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What two devices read, by a group that there is not yet when the datasets are made."""
    return record_of(2, endpoint, numbers, tmp_path_factory)


@pytest.mark.parametrize("case", CASES)
def test_one_device_gets_everything(one: Record, case: str) -> None:
    """Every epoch has everything in an order of its own, and `len` stops none early."""
    one.assert_exact(case, ranks=1)


@pytest.mark.parametrize("case", CASES)
def test_two_devices_get_everything(two: Record, case: str) -> None:
    """So do two devices together, whether Lightning puts samplers in or not.

    Of a map dataset its sampler repeats one, as two ranks cannot have equally many.
    """
    two.assert_exact(case, padding=case.startswith("map"))
