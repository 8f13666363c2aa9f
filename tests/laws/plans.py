"""Plans: what is done with the datasets of a case, beyond reading one epoch in one go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

from aisdatapipes.errors import StateMismatchError
from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.elastic import read_elastic
from laws.failures import check_busy, check_raises
from laws.jobs import Job, Session, Step, carried
from laws.model import LawBrokenError, equal, law
from laws.steps import expects_no_sample, read_epoch, read_whole
from laws.store import Store
from support.faults import FaultProxy

__all__ = ["check"]


def check(case: Case, store: Store, faults: FaultProxy) -> None:
    """Read a case and check all its laws.

    Raises:
        LawBrokenError: One of them does not hold.
    """
    try:
        if case.plan == "busy":
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
    """Whether nothing is left to give: the only thing other than an AISPipeError to be raised."""
    worlds = [(case.world, case.workers), *case.worlds]
    cases = [replace(case, world=world, workers=workers) for world, workers in worlds]
    if case.plan == "elastic" and case.uneven == "drop" and "too few" in str(error):
        return isinstance(error, ValueError)
    epochs = {0, 1, *case.epochs}
    return any(
        expects_no_sample(one, read_whole(one, store, epoch), error)
        for one in cases
        for epoch in epochs
    )


def _whole(case: Case, store: Store) -> None:
    """Read the epoch again: the order is the same (law f), also by the same dataset."""
    epoch = read_epoch(case, store)
    if case.max_errors is not None:
        return
    sessions = [Job(case, store).session(rank) for rank in range(case.world)]
    for _ in range(2):
        equal("f", [session.take() for session in sessions], epoch.ranks, "read again")


def _resume(case: Case, store: Store) -> None:
    """Stop and go on (law c); the epoch after that is whole (law j)."""
    (number,) = case.epochs
    epoch = read_epoch(case, store, number)
    for rank, expected in enumerate(epoch.ranks):
        session, found = Job(case, store).session(rank, number), []
        for count, how in zip(case.stops, case.carriers, strict=True):
            left = len(expected) - len(found)
            found += session.take(min(count, left) if count >= 0 else max(left + count, 0))
            going = _gone_on(case, store, rank, number, session, how)
            if how == "buffer" and _has_buffer(case):
                if going:  # it was not refused, so nothing may be lost
                    equal("c", sorted(found + going.take()), sorted(expected), "another buffer")
                break
            session = going or session
        else:
            found += session.take()
            text = f"rank {rank} stopped after {case.stops} steps"
            equal("c", found, expected, text)
            if case.mode != "stateful" or not case.is_persistent:
                equal("j", session.take(), expected, f"rank {rank}, the pass after the resume")


def _gone_on(
    case: Case, store: Store, rank: int, number: int, session: Session, how: str
) -> Session | None:
    """Load the state of a session into another one; None if that is refused: another buffer."""
    state = session.state()
    if how == "same":
        session.load(state)
        return session
    is_copy = how in ("deepcopy", "pickle")
    changes = {"shuffle_buffer": case.buffer + 1} if how == "buffer" and _has_buffer(case) else {}
    session.close()
    dataset = (
        carried(how, session.dataset) if is_copy else Job(case, store).dataset(rank, **changes)
    )
    dataset.set_epoch(number)
    try:
        if case.mode == "direct":
            dataset.load_state_dict(state)
        going = Session(case, carried(how, dataset) if "loaded" in how else dataset)
        if case.mode != "direct":
            going.load(state)
        if changes:
            going.take(0)
    except StateMismatchError:
        if not changes:
            raise
        return None
    return going


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
        same = _loaded(case, store, rank, 0, state)
        equal("c", same.take(), [], f"rank {rank}, the rest of an epoch at its end")
        if _can_go_on(case, steps):
            found = _loaded(case, store, rank, 1, state).take()
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


def _loaded(case: Case, store: Store, rank: int, number: int, state: Any) -> Session:
    session = Job(case, store).session(rank)
    session.load(state)
    session.dataset.set_epoch(number)
    return session


PLANS: dict[str, Callable[[Case, Store], None]] = {
    "whole": _whole,
    "resume": _resume,
    "elastic": read_elastic,
    "epochs": _epochs,
    "end": _end,
}
