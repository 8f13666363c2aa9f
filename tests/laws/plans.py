"""Plans: what is done with the datasets of a case, beyond reading one epoch in one go."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from aisdatapipes.errors import BadArchiveError, StateMismatchError
from laws.adapters import ADAPTERS
from laws.by_index import check_by_index
from laws.cases import Case
from laws.chains import check_chain
from laws.elastic import read_elastic
from laws.failures import check_busy, check_raises
from laws.jobs import Job, Session, Step, carried
from laws.model import LawBrokenError, Model, equal, law
from laws.steps import has_idle_rank, read_epoch, read_whole
from laws.store import Store
from laws.turns import check_next_pass
from support.faults import FaultProxy

__all__ = ["check"]


def check(case: Case, store: Store, faults: FaultProxy) -> None:
    """Read a case and check all its laws.

    Raises:
        LawBrokenError: One of them does not hold.
    """
    try:
        if case.kind in OF_SAMPLES:
            OF_SAMPLES[case.kind](case, store)
        elif case.plan == "busy":
            check_busy(case, store, faults)
        elif case.on_error == "raise" and not case.is_whole:
            check_raises(case, store)
        else:
            PLANS[case.plan](case, store)
    except (LawBrokenError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not _is_lawful(case, store, error):
            raise LawBrokenError("k", f"{type(error).__name__}: {error}") from error


def _is_lawful(case: Case, store: Store, error: BaseException) -> bool:
    """Whether equal steps cannot be: all would be dropped, or nothing is there to be repeated."""
    if case.kind in OF_SAMPLES:
        return False
    if isinstance(error, BadArchiveError):
        return case.uneven != "keep" and not case.is_whole and not Model(case).certain
    if case.uneven != "drop" or not isinstance(error, ValueError) or "too few" not in str(error):
        return False
    if case.plan == "elastic" or not case.is_whole:
        return True  # what is left after a stop, or a fault, may be too little
    epochs = {0, 1, *case.epochs}
    return any(has_idle_rank(case, read_whole(case, store, epoch)) for epoch in epochs)


def _whole(case: Case, store: Store) -> None:
    """Read the epoch again: the order is the same (law f), also by the same dataset.

    Without `set_epoch` a dataset goes on by itself (law l).
    """
    epoch = read_epoch(case, store)
    if case.max_errors is not None:
        return
    sessions = [Job(case, store).session(rank) for rank in range(case.world)]
    for _ in range(2):
        for session in sessions:
            session.dataset.set_epoch(0)
        equal("f", [session.take() for session in sessions], epoch.ranks, "read again")
    for rank, session in enumerate(sessions):
        check_next_pass(case, store, rank, 0, session.take(), "the pass after another")


def _resume(case: Case, store: Store) -> None:
    """Stop and go on (law c); the epoch after that is whole (law j)."""
    (number,) = case.epochs
    epoch = read_epoch(case, store, number)
    for rank, expected in enumerate(epoch.ranks):
        session, found = Job(case, store).session(rank, number), []
        for count, how in zip(case.stops, case.carriers, strict=True):
            left = len(expected) - len(found)
            found += session.take(min(count, left) if count >= 0 else max(left + count, 0))
            if how == "buffer" and _has_buffer(case):
                _check_buffer(case, store, rank, session, found, expected)
                break
            session = _gone_on(case, store, rank, number, session, how)
        else:
            found += session.take()
            text = f"rank {rank} stopped after {case.stops} steps"
            equal("c", found, expected, text)
            check_next_pass(case, store, rank, number, session.take(), "the pass after the resume")


def _gone_on(
    case: Case, store: Store, rank: int, number: int, session: Session, how: str
) -> Session:
    """Load the state of a session into another one."""
    state = session.state()
    if how == "same":
        session.load(state)
        return session
    is_copy = how in ("deepcopy", "pickle")
    session.close()
    dataset = carried(how, session.dataset) if is_copy else Job(case, store).dataset(rank)
    dataset.set_epoch(number)
    return _loaded(case, dataset, state, how)


def _check_buffer(
    case: Case, store: Store, rank: int, session: Session, head: list[Step], expected: list[Step]
) -> None:
    """A state of another shuffle buffer is refused, or nothing is lost by it."""
    state = session.state()
    session.close()
    dataset = Job(case, store).dataset(rank, shuffle_buffer=case.buffer + 1)
    dataset.set_epoch(case.epochs[0])
    try:
        tail = _loaded(case, dataset, state).take()
    except StateMismatchError:
        return
    found, whole = (sorted(chain.from_iterable(steps)) for steps in (head + tail, expected))
    equal("c", found, whole, f"rank {rank}, with another buffer")


def _has_buffer(case: Case) -> bool:
    return ADAPTERS[case.kind].has_buffer and case.shuffle


def _epochs(case: Case, store: Store) -> None:
    """One dataset, or a copy of it, over several epochs (law f)."""
    expected = [read_epoch(case, store, number) for number in case.epochs]
    for rank in range(case.world):
        dataset = carried(case.carriers[0], Job(case, store).dataset(rank))
        session = Session(case, dataset)
        for number, epoch in zip(case.epochs, expected, strict=True):
            dataset.set_epoch(number)
            equal("f", session.take(), epoch.ranks[rank], f"rank {rank} in epoch {number}")
    orders = {tuple(chain.from_iterable(epoch.owned.values())) for epoch in expected}
    shards = sum(row.count > 0 for row in case.rows)
    if case.shuffle and shards > 5:
        law("f", len(orders) > 1, f"three epochs have one order: {orders}")


def _end(case: Case, store: Store) -> None:
    """A state of the end of an epoch, loaded into the next one, or into the same again."""
    now, then = (read_epoch(case, store, number) for number in (0, 1))
    for rank, steps in enumerate(now.ranks):
        if not steps:
            continue
        session = Job(case, store).session(rank)
        session.take(len(steps))
        state = session.state()
        session.close()
        same = _at_end(case, store, rank, 0, state)
        equal("c", same.take(), [], f"rank {rank}, the rest of an epoch at its end")
        if _can_go_on(case, steps):
            found = _at_end(case, store, rank, 1, state).take()
            # The loader goes on with the worker whose turn it is.
            equal("c", sorted(found), sorted(then.ranks[rank]), f"rank {rank}, the next epoch")


def _can_go_on(case: Case, steps: list[Step]) -> bool:
    """Whether torchdata's loader can begin the next epoch from a state of the end of one.

    Without workers it remembers that a last batch was not full, and gives nothing behind it. With
    workers a state is that of the last snapshot, in the middle of the epoch.
    """
    if case.mode == "direct":
        return True
    return len(steps) % case.snapshot == 0 if case.workers else len(steps[-1]) >= case.batch


def _at_end(case: Case, store: Store, rank: int, number: int, state: Any) -> Session:
    session = _loaded(case, Job(case, store).dataset(rank), state)
    session.dataset.set_epoch(number)
    return session


def _loaded(case: Case, dataset: Any, state: Any, how: str = "") -> Session:
    """Begin a session with a state that the dataset, or its loader, takes."""
    if case.mode == "direct":
        dataset.load_state_dict(state)
    session = Session(case, carried(how, dataset) if "loaded" in how else dataset)
    if case.mode != "direct":
        session.load(state)
    return session


PLANS: dict[str, Callable[[Case, Store], None]] = {
    "whole": _whole,
    "resume": _resume,
    "elastic": read_elastic,
    "epochs": _epochs,
    "end": _end,
}

OF_SAMPLES = {"by index": check_by_index, "chain": check_chain}
