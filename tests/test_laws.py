"""The laws of the iterable datasets, in random cases; `laws` says what they are."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from laws.cases import Case, draw
from laws.finding import reduced, report
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

CASES = 160
BLOCK = 10
MINUTES = float(os.environ.get("LAWS_MINUTES", "0"))
MOST_FINDINGS = 20


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


@pytest.mark.skipif(bool(MINUTES), reason="LAWS_MINUTES chooses the cases")
@pytest.mark.parametrize("first", range(0, CASES, BLOCK))
def test_the_laws_hold(first: int, store: Store, faults: FaultProxy) -> None:
    """In the cases that every run of the tests has."""
    findings = [finding_of(number, store, faults) for number in range(first, first + BLOCK)]
    assert not any(findings), "\n".join(filter(None, findings))


@pytest.mark.skipif(not MINUTES, reason="LAWS_MINUTES says how long")
@pytest.mark.timeout(60 * MINUTES + 600)
def test_the_laws_hold_in_new_cases(store: Store, faults: FaultProxy) -> None:
    """For as long as one likes, from a random seed on, or from the one that LAWS_SEED says."""
    start = int(os.environ.get("LAWS_SEED", random.randrange(10**9)))
    deadline, number, found = time.monotonic() + 60 * MINUTES, start, Counter[str]()
    while time.monotonic() < deadline and found.total() < MOST_FINDINGS:
        if finding := finding_of(number, store, faults):
            found[finding] += 1
        number += 1
    print(f"LAWS_SEED={start}: {number - start} cases")  # noqa: T201
    assert not found, "\n".join(found)


@pytest.mark.skipif("LAWS_CASE" not in os.environ, reason="LAWS_CASE says which")
def test_the_laws_hold_in_one_case(store: Store, faults: FaultProxy) -> None:
    """In the one that a finding names."""
    check(Case.loads(os.environ["LAWS_CASE"]), store, faults)


def finding_of(number: int, store: Store, faults: FaultProxy) -> str:
    """Return what a case breaks, reduced; empty for nothing."""

    def broken_by(case: Case) -> LawBrokenError | None:
        try:
            check(case, store, faults)
        except LawBrokenError as broken:
            return broken.with_traceback(None)
        return None

    case = draw(number)
    broken = broken_by(case)
    if broken is None:
        return ""
    case, smaller = reduced(case, broken_by, broken.which)
    return report(number, case, smaller or broken)
