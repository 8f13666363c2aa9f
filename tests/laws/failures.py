"""Laws of failures: a cluster that is busy, and shards that are not to be skipped."""

from __future__ import annotations

from typing import Any

from aisdatapipes.errors import AISPipeError
from laws.cases import Case
from laws.counting import BusyCounting
from laws.jobs import Job, Session
from laws.model import Model, equal, law
from laws.steps import read_epoch, read_whole
from laws.store import Store
from support.faults import FaultProxy

__all__ = ["check_busy", "check_raises"]

_BUSY = BusyCounting()


def check_busy(case: Case, store: Store, faults: FaultProxy) -> None:
    """The cluster answers 503 for a while when shards are counted (law h)."""
    epoch, job = read_epoch(case, store), Job(case, store)
    for rank, expected in enumerate(epoch.ranks):
        size = len(job.dataset(rank))
        try:
            with faults.rule(_BUSY):
                dataset = job.dataset(rank, endpoint=faults.endpoint)
        except AISPipeError:
            dataset = job.dataset(rank, endpoint=faults.endpoint)
        _check_size(dataset, size, faults)
        try:
            found = Session(case, dataset).take()
        except AISPipeError:
            continue
        equal("h", found, expected, f"rank {rank}, counted by a busy cluster")


def _check_size(dataset: Any, expected: int, faults: FaultProxy) -> None:
    try:
        with faults.rule(_BUSY):
            law("h", len(dataset) == expected, f"{len(dataset)} samples by a busy cluster")
    except AISPipeError:
        pass
    law("h", len(dataset) == expected, f"{len(dataset)} samples after it, not {expected}")


def check_raises(case: Case, store: Store) -> None:
    """A broken shard ends the epoch with an error."""
    owned = read_whole(case, store)
    model = Model(case)
    raised = [_raised_by(case, store, rank) for rank in range(case.world)]
    broken = set().union(*map(model.rows_of, owned.values()))
    law("k", any(raised) or not broken or case.uneven == "drop", "a broken shard raised nothing")


def _raised_by(case: Case, store: Store, rank: int) -> bool:
    try:
        Job(case, store).session(rank).take()
    except AISPipeError:
        return True
    return False
