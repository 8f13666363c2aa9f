"""Laws of merged states: another world goes on where all ranks of the old one stopped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from aisdatapipes import merge_states
from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.jobs import Job, Lanes, Session, carried, lanes_of
from laws.model import Model, law
from laws.shards import base
from laws.steps import read_epoch, read_whole
from laws.store import Store
from laws.turns import check_next_pass

__all__ = ["read_elastic"]


def read_elastic(case: Case, store: Store) -> None:
    """Stop, merge and go on, once or more; every sample comes once (law d)."""
    read_epoch(case, store)
    stages = [(case.world, case.workers), *case.worlds]
    cases = [replace(case, world=world, workers=workers) for world, workers in stages]
    state, heads = None, []
    for stage, stop in zip(cases, case.stops, strict=False):
        sessions = [_started(stage, store, rank, state) for rank in range(stage.world)]
        heads.append(lanes_of([session.take(stop) for session in sessions], stage.workers))
        state = merge_states(*[session.state() for session in sessions])
        for session in sessions:
            session.close()
    last = cases[-1]
    sessions = [_started(last, store, rank, state) for rank in range(last.world)]
    tails = lanes_of([session.take() for session in sessions], last.workers)
    _check_union(case, [*heads, tails])
    if case.uneven != "keep" and (case.is_whole or ADAPTERS[case.kind].is_even_after_skips):
        _check_even(tails, last)
    if case.uneven == "pad" and case.is_whole and len(heads) == 1:
        _check_padding(tails, last, _own(case, store, heads[0]))
    for rank, session in enumerate(sessions):
        check_next_pass(last, store, rank, 0, session.take(), "the pass after the merge")


def _started(case: Case, store: Store, rank: int, state: Any) -> Session:
    """Begin a rank with a merged state; in every other case over one more, taken at once."""
    job = Job(case, store)
    if state is None:
        return job.session(rank)
    dataset = job.dataset(rank)
    dataset.load_state_dict(state)
    session = Session(case, carried(case.carriers[0], dataset))
    if not case.is_peeked:
        return session
    session.take(0)
    again = session.state()
    session.close()
    session = job.session(rank)
    session.load(again)
    return session


def _own(case: Case, store: Store, lanes: Lanes) -> set[str]:
    """Return what lanes gave of their own, without what was repeated to even out ranks."""
    owned = read_whole(case, store)
    return {base(one) for key, lane in lanes.items() for one in lane[: len(owned[key])]}


def _check_even(tails: Lanes, last: Case) -> None:
    for worker in range(max(last.workers, 1)):
        counts = [len(tails[rank, worker]) for rank in range(last.world)]
        law("b", len(set(counts)) == 1, f"after a merge, samples of worker {worker}: {counts}")


def _check_padding(tails: Lanes, last: Case, own: set[str]) -> None:
    """One rank at least has no sample twice: else there were more steps than needed."""
    for worker in range(max(last.workers, 1)):
        lanes = [[base(one) for one in tails[rank, worker]] for rank in range(last.world)]
        is_needed = any(own.isdisjoint(one) and len(set(one)) == len(one) for one in lanes)
        law("d", is_needed, f"all ranks pad: {lanes}; read before: {sorted(own)}")


def _check_union(case: Case, parts: list[Lanes]) -> None:
    found = Counter(base(one) for part in parts for lane in part.values() for one in lane)
    model = Model(case)
    certain, possible = set(map(base, model.certain)), model.possible
    strange = found.keys() - certain - possible
    law("d", not strange, f"{sorted(strange)} cannot be read")
    if case.uneven != "drop":
        law("d", found.keys() >= certain, f"never came {sorted(certain - found.keys())}")
    twice = sorted(sample for sample, times in found.items() if times > 1)
    may_repeat = case.uneven == "pad" or (case.uneven == "drop" and not case.is_whole)
    law("d", may_repeat or not twice, f"came twice {twice}: {parts}")
