"""Epochs under random faults: `soak` says who reads and what goes wrong.

``make soak MINUTES=n`` goes on for so long, with a new seed; all runs of the tests have a few.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from outages.contents import fill
from soak.report import Report
from soak.session import soak
from support.faults import FaultProxy

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
EPOCHS = 5
SEED = int(os.environ.get("SOAK_SEED", random.randrange(10**9) if MINUTES else 0))


@pytest.mark.timeout(60 * MINUTES + 300)
def test_every_epoch_is_exact_and_nothing_grows(
    ais_cluster: LocalCluster,
    faults: FaultProxy,
    put_object: PutObject,
    pytestconfig: pytest.Config,
) -> None:
    """Every sample once and right, whatever the network does; then memory, threads and files."""
    bucket = ais_cluster.client().bucket(f"soak-{uuid.uuid4().hex}").create()
    fill(bucket, put_object)
    report = soak(faults, f"ais://{bucket.name}", SEED, enough(), is_quick=not MINUTES)
    bucket.delete()
    if MINUTES:
        capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n\n{report}\n")  # noqa: T201
    assert not report.findings, "\n".join(["", *report.findings, str(report)])
    assert report.faults > len(report.results)


def enough() -> Callable[[Report], bool]:
    """Return what ends it: the time that was given, or a number of epochs."""
    if not MINUTES:
        return lambda report: len(report.results) == EPOCHS
    deadline = time.monotonic() + 60 * MINUTES
    return lambda _: time.monotonic() > deadline
