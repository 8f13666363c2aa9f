"""The laws of the iterable datasets, in random cases; `laws` says what they are."""

from __future__ import annotations

import itertools
import logging
import os
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from laws.cases import Case, draw
from laws.finding import reduced, report
from laws.known import KNOWN
from laws.model import LawBrokenError
from laws.plans import check
from laws.store import Store
from support.faults import FaultProxy

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    # A number of samples that is too low or too high is what law b finds, with both numbers.
    pytest.mark.filterwarnings("ignore:Length of IterableDataset"),
]

CASES, BLOCK = 90, 5
MOST_FINDINGS = 20


def chosen() -> list[Any]:
    """Return what the environment chooses: the cases of every run, new ones, or a single one."""
    if text := os.environ.get("LAWS_CASE"):
        return [pytest.param(None, [Case.loads(text)], id="case")]
    if minutes := float(os.environ.get("LAWS_MINUTES", "0")):
        first = int(os.environ.get("LAWS_SEED", random.randrange(10**9)))
        drawn = map(draw, itertools.count(first))
        if kinds := os.environ.get("LAWS_KINDS"):
            drawn = (case for case in drawn if case.kind in kinds.split(","))
        limit = pytest.mark.timeout(60 * minutes + 600)
        return [pytest.param(minutes, drawn, id=f"{first}", marks=limit)]
    first = int(os.environ.get("LAWS_SEED", "0"))
    known = [pytest.param(None, [case], id=name) for name, case in KNOWN.items()]
    blocks = [range(at, at + BLOCK) for at in range(first, first + CASES, BLOCK)]
    drawn = [pytest.param(None, map(_quick, block), id=f"{block.start}") for block in blocks]
    return known + drawn


def _quick(seed: int) -> Case:
    """Return a case without spawned workers: each imports torch, for seconds of a core."""
    case = draw(seed)
    return replace(case, start="forkserver") if case.start == "spawn" else case


@pytest.fixture(scope="module")
def faults(ais_cluster: LocalCluster) -> Iterator[FaultProxy]:
    """A proxy in front of the shared cluster, for all cases."""
    with FaultProxy(ais_cluster.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def store(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[Store]:
    """The shards of all cases."""
    bucket = ais_cluster.client().bucket(f"laws-{uuid.uuid4().hex}").create()
    yield Store(bucket, put_object, ais_cluster.endpoint)
    bucket.delete(missing_ok=True)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of lines about shards that were skipped on purpose would hide the findings."""
    caplog.set_level(logging.CRITICAL, "aisdatapipes")
    caplog.set_level(logging.ERROR, "torchdata")


@pytest.mark.parametrize(("minutes", "cases"), chosen())
def test_the_laws_hold(
    minutes: float | None, cases: Iterable[Case], store: Store, faults: FaultProxy
) -> None:
    """In all cases that are chosen, for so many minutes; the id of the test is the first seed."""
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    findings, count = [], 0
    for case in cases:
        findings += finding_of(case, store, faults)
        count += 1
        if (deadline and time.monotonic() > deadline) or len(findings) >= MOST_FINDINGS:
            break
    assert not findings, "\n".join([f"{count} cases, {len(findings)} findings:", *findings])


def finding_of(case: Case, store: Store, faults: FaultProxy) -> list[str]:
    """Return what a case breaks, reduced; nothing if all laws hold."""

    def broken_by(case: Case) -> LawBrokenError | None:
        try:
            check(case, store, faults)
        except LawBrokenError as broken:
            return broken.with_traceback(None)
        return None

    broken = broken_by(case)
    if broken is None:
        return []
    smaller, why = reduced(case, broken_by, broken.which)
    return [report(smaller, why or broken)]
