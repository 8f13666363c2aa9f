"""Readers on bad days of a real cluster: `outages` says what happens, who reads, and what counts.

``make faults`` runs all of it and writes the table; every run of the tests has the fast rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import PutObject
from outages.readers import READERS, named
from outages.rows import FAULTS, Fault
from outages.table import Table
from outages.trial import run_trial

IS_WHOLE = os.environ.get("FAULTS") == "all"
DOCS = Path(__file__).parents[1] / "docs"
FEW = ["AISFileLister + AISFileLoader", "AISIterDataset, 2 workers", "AISShardReader"]


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[Table]:
    """The table, shown and written at the end where all of it was run."""
    table = Table()
    yield table
    if IS_WHOLE:
        capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n\n{table}\n")  # noqa: T201
        table.write(DOCS)


# The slowest has 5 minutes: a minute to begin, its strike, and what `trial` waits for.
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name) for fault in FAULTS if IS_WHOLE or fault.is_fast],
)
def test_epochs_end_complete(fault: Fault, table: Table, put_object: PutObject) -> None:
    """Nothing is lost, repeated or wrong, however long it takes; what is lost is reported."""
    readers = [reader for reader in READERS if fault.readers(reader)] if IS_WHOLE else named(*FEW)
    results = run_trial(fault, readers, put_object)
    table.add(fault.name, results)
    findings = [f"{each.reader.title}: {each.finding}" for each in results if each.finding]
    assert not findings, "\n".join(["", *findings])
