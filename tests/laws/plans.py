"""Plans: what is done with the datasets of a case, beyond reading one epoch in one go."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aisdatapipes import merge_states
from aisdatapipes.errors import AISPipeError, StateMismatchError
from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.jobs import Job, Session, Step, carried, lanes_of
from laws.model import LawBrokenError, Model, law
from laws.shards import base
from laws.steps import Epoch, expects_no_sample, read_epoch, read_whole
from laws.store import Store
from support.fault_rules import Status
from support.faults import FaultProxy

__all__ = ["check"]

_BUSY = Status(times=None, matches="GET /v1/(buckets|objects)/", code=503)


def check(case: Case, store: Store, faults: FaultProxy) -> None:
    """Read a case and check all its laws.

    Raises:
        LawBrokenError: One of them does not hold.
    """
    try:
        if case.plan == "busy":
            _busy(case, store, faults)
        elif case.on_error == "raise" and not case.is_whole:
            _raises(case, store)
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
    return any(expects_no_sample(one, read_whole(one, store), error) for one in cases)


def _whole(case: Case, store: Store) -> None:
    """Read the epoch again: the order is the same (law f), also by the same dataset."""
    epoch = read_epoch(case, store)
    if case.max_errors is not None:
        return
    sessions = [Job(case, store).session(rank) for rank in range(case.world)]
    for _ in range(2):
        _equal("f", [session.take() for session in sessions], epoch.ranks, "read again")


def _resume(case: Case, store: Store) -> None:
    """Stop and go on (law c); the epoch after that is whole (law j)."""
    (number,) = case.epochs
    epoch = read_epoch(case, store, number)
    for rank, expected in enumerate(epoch.ranks):
        session, found = Job(case, store).session(rank, number), []
        for count, how in zip(case.stops, case.carriers, strict=True):
            found += session.take(min(count, len(expected) - len(found)))
            going = _gone_on(case, store, rank, number, session, how)
            if how == "buffer" and _has_buffer(case):
                if going:  # it was not refused, so nothing may be lost
                    _equal("c", sorted(found + going.take()), sorted(expected), "another buffer")
                break
            session = going or session
        else:
            found += session.take()
            text = f"rank {rank} stopped after {case.stops} steps"
            _equal("c", found, expected, text)
            if case.mode != "stateful" or not case.is_persistent:
                _equal("j", session.take(), expected, f"rank {rank}, the pass after the resume")


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
    dataset = carried(how, session.dataset) if is_copy else Job(case, store).dataset(rank, **changes)
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


def _elastic(case: Case, store: Store) -> None:
    """Merge the states of all ranks, and go on in another world (law d)."""
    read_epoch(case, store)
    state: Any = None
    own: Counter[str] = Counter()
    found: Counter[str] = Counter()
    stages = [(case.world, case.workers), *case.worlds]
    for number, (world, workers) in enumerate(stages):
        stage = replace(case, world=world, workers=workers)
        stop = case.stops[number] if number < len(case.stops) else None
        sessions = [_started(stage, store, rank, state) for rank in range(world)]
        ranks = [session.take(stop) for session in sessions]
        lanes = lanes_of(ranks, workers)
        if stop is not None:
            states = [session.state() for session in sessions]
            state = merge_states(*states)
            for session in sessions:
                session.close()
        elif case.uneven != "keep" and (case.is_whole or ADAPTERS[case.kind].is_even_after_skips):
            _check_even(lanes, world, workers)
            if case.is_whole and case.uneven == "pad" and len(stages) == 2:
                _check_padding(lanes, world, workers, own)
        found.update(base(sample) for lane in lanes.values() for sample in lane)
        own.update(_own(stage, store, lanes) if state and number == 0 else ())
    _check_union(case, found)
    for rank, session in enumerate(sessions):
        expected = Job(replace(case, world=world, workers=workers), store).session(rank).take()
        _equal("j", session.take(), expected, f"rank {rank}, the pass after the merge")


def _started(case: Case, store: Store, rank: int, state: Any) -> Session:
    """Begin a rank with a merged state, over one more state before the first step."""
    if state is None:
        return Job(case, store).session(rank)
    (how,) = case.carriers
    dataset = Job(case, store).dataset(rank)
    dataset.load_state_dict(state)
    session = Session(case, carried(how, dataset))
    if case.epochs != (0,) or case.seed % 2:
        return session
    session.take(0)
    again = session.state()
    session.close()
    session = Job(case, store).session(rank)
    session.load(again)
    return session


def _own(case: Case, store: Store, lanes: dict[tuple[int, int], list[str]]) -> list[str]:
    """Return what lanes gave of their own, without what was repeated to even out ranks."""
    owned = read_whole(case, store)
    return [base(s) for key, lane in lanes.items() for s in lane[: len(owned[key])]]


def _check_even(lanes: dict[tuple[int, int], list[str]], world: int, workers: int) -> None:
    for worker in range(max(workers, 1)):
        counts = [len(lanes[rank, worker]) for rank in range(world)]
        law("b", len(set(counts)) == 1, f"after a merge, samples of worker {worker}: {counts}")


def _check_padding(
    lanes: dict[tuple[int, int], list[str]], world: int, workers: int, own: Counter[str]
) -> None:
    """One rank at least has no sample twice: else there were more steps than needed."""
    every = Counter(base(sample) for lane in lanes.values() for sample in lane) + own
    for worker in range(max(workers, 1)):
        of_ranks = [lanes[rank, worker] for rank in range(world)]
        fresh = [all(own[base(s)] == 0 for s in lane) for lane in of_ranks]
        unique = [len(set(lane)) == len(lane) for lane in of_ranks]
        has_max = any(a and b for a, b in zip(fresh, unique, strict=True))
        law("d", has_max, f"all ranks pad: {of_ranks}, read before {sorted(own)}: {every}")


def _check_union(case: Case, found: Counter[str]) -> None:
    model = Model(case)
    certain, possible = set(map(base, model.certain)), model.possible
    twice = {sample for sample, times in found.items() if times > 1}
    strange = set(found) - certain - possible
    law("d", not strange, f"{sorted(strange)} cannot be read")
    if case.uneven != "drop":
        law("d", found.keys() >= certain, f"never came {sorted(certain - found.keys())}")
    may_repeat = case.uneven == "pad" or (case.uneven == "drop" and not case.is_whole)
    law("d", may_repeat or not twice, f"came twice {sorted(twice)}")


def _epochs(case: Case, store: Store) -> None:
    """One dataset, or a copy of it, over several epochs (law f)."""
    expected = [read_epoch(case, store, number) for number in case.epochs]
    for rank in range(case.world):
        dataset = carried(case.carriers[0], Job(case, store).dataset(rank))
        session = Session(case, dataset)
        for number, epoch in zip(case.epochs, expected, strict=True):
            dataset.set_epoch(number)
            _equal("f", session.take(), epoch.ranks[rank], f"rank {rank} in epoch {number}")
    orders = {tuple(sum(epoch.owned.values(), [])) for epoch in expected}
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
        _equal("c", same.take(), [], f"rank {rank}, the rest of an epoch at its end")
        if _can_go_on(case, steps):
            found = _loaded(case, store, rank, 1, state).take()
            # The loader goes on with the worker whose turn it is.
            _equal("c", sorted(found), sorted(then.ranks[rank]), f"rank {rank}, the next epoch")


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


def _busy(case: Case, store: Store, faults: FaultProxy) -> None:
    """The cluster answers 503 for a while when shards are counted (law h)."""
    epoch: Epoch = read_epoch(case, store)
    job = Job(case, store)
    sizes = [_size(job.dataset(rank)) for rank in range(case.world)]
    for rank, expected in enumerate(epoch.ranks):
        try:
            if job.adapter.lists:  # under the rule it would raise before it counts
                dataset = job.dataset(rank, endpoint=faults.endpoint)
            else:
                with faults.rule(_BUSY):
                    dataset = job.dataset(rank, endpoint=faults.endpoint)
            _check_size(dataset, sizes[rank], faults)
            found = Session(case, dataset).take()
        except AISPipeError:
            continue
        _equal("h", found, expected, f"rank {rank}, counted by a busy cluster")


def _check_size(dataset: Any, expected: int, faults: FaultProxy) -> None:
    try:
        with faults.rule(_BUSY):
            law("h", len(dataset) == expected, f"{len(dataset)} samples by a busy cluster")
    except AISPipeError:
        pass
    law("h", len(dataset) == expected, f"{len(dataset)} samples after it, not {expected}")


def _size(dataset: Any) -> int:
    return len(dataset)


def _raises(case: Case, store: Store) -> None:
    """A broken shard ends the epoch with an error, whole samples before it come."""
    owned = read_whole(case, store)
    model = Model(case)
    raised = []
    for rank in range(case.world):
        try:
            Job(case, store).session(rank).take()
        except AISPipeError as error:
            raised.append(error.with_traceback(None))
    broken = set().union(*map(model.rows_of, owned.values()))
    law("k", raised or not broken or case.uneven == "drop", "a broken shard raised nothing")


def _equal(which: str, found: list[Any], expected: list[Any], what: str) -> None:
    law(which, found == expected, f"{what}: {_text(found)} in place of {_text(expected)}")


def _text(steps: Any) -> str:
    """Return steps as worker:sample."""
    if isinstance(steps, tuple) and len(steps) == 2 and isinstance(steps[0], int):
        return f"{steps[0]}:{steps[1]}"
    return f"[{' '.join(map(_text, steps))}]"


PLANS: dict[str, Callable[[Case, Store], None]] = {
    "whole": _whole,
    "resume": _resume,
    "elastic": _elastic,
    "epochs": _epochs,
    "end": _end,
}
