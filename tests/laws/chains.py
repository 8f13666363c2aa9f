"""Laws of chains of pipes that shuffle references to samples, and read what they get."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch.utils.data import graph_settings

from aisdatapipes.errors import AISPipeError, TooManyErrorsError
from laws.cases import Case
from laws.jobs import Job, Lanes, Session, Step, lanes_of
from laws.model import Model, equal, law
from laws.store import Store

__all__ = ["check_chain"]


def check_chain(case: Case, store: Store) -> None:
    """Read a case by a chain of pipes, once or with stops."""
    if case.mode != "direct" and case.world > 1:
        case = replace(case, world=1)  # ranks of a loader are those of torch
    model = Model(case)
    try:
        ranks = [_session(case, store, rank).take() for rank in range(case.world)]
    except AISPipeError as error:
        _check_error(case, model, error)
        return
    law("k", not model.broken or case.on_error != "raise", "a broken shard raised nothing")
    lanes = lanes_of(ranks, case.workers)
    _check_lanes(case, model, lanes)
    if case.max_errors is not None and not case.shuffle:
        most = _most_failures(case, model)
        law("i", most <= case.max_errors, f"{most} failures of a worker, nothing was raised")
    if case.plan == "resume" and case.mode == "stateful" and not case.shuffle:
        _check_resume(case, store, ranks[0])


def _check_error(case: Case, model: Model, error: AISPipeError) -> None:
    """There is a reason, and it is the limit of errors if there is one (laws i and k)."""
    law("k", model.broken, f"{type(error).__name__}: {error}")
    if case.on_error != "raise":
        law("i", case.max_errors is not None, f"{error}")
        law("i", isinstance(error, TooManyErrorsError), f"{type(error).__name__}: {error}")
        if not case.shuffle:
            most = _most_failures(case, model)
            law("i", most > (case.max_errors or 0), f"{most} failures of a worker: {error}")


def _check_lanes(case: Case, model: Model, lanes: Lanes) -> None:
    """All together they have every sample that can be read once (laws a, e and g)."""
    found = Counter(chain.from_iterable(lanes.values()))
    expected = Counter(model.certain)
    text = f"never {expected - found}, too often {found - expected}: {lanes}"
    law("a" if case.is_whole else "e", found == expected, text)
    if case.is_whole or case.on_error == "give":
        sizes = list(map(len, lanes.values()))
        law("b", max(sizes) - min(sizes) <= 1, f"parts of {sizes} samples")
    if not case.shuffle:
        for key, own in _owned(case, model).items():
            law("a", lanes[key] == model.given(own, set()), f"{key}: {lanes[key]} of {own}")
    elif case.buffer == 1 and case.is_whole:
        law("f", lanes == _owned(case, model), f"a buffer of one sample makes {lanes}")


def _most_failures(case: Case, model: Model) -> int:
    return max(len(model.failures_of(own)) for own in _owned(case, model).values())


def _owned(case: Case, model: Model) -> Lanes:
    parts = case.world * max(case.workers, 1)
    keys = [(rank, worker) for rank in range(case.world) for worker in range(max(case.workers, 1))]
    return {key: model.every[number::parts] for number, key in enumerate(keys)}


def _check_resume(case: Case, store: Store, steps: list[Step]) -> None:
    """Head and tail are the steps without a stop (law c)."""
    # torchdata's loader goes on by reading again: once, as it counts twice what it has read again,
    # and not to the very end.
    most, count = max(len(steps) - 1, 0), case.stops[0]
    session = _session(case, store, 0)
    head = session.take(min(count, most) if count >= 0 else max(most + count, 0))
    state = session.state()
    session.close()
    session = _session(case, store, 0)
    session.load(state)
    equal("c", head + session.take(), steps, f"stopped after {len(head)} steps")


def _session(case: Case, store: Store, rank: int) -> Session:
    """Begin the reading of a rank; all of them shuffle by the same seed, as torch has them do."""
    pipe: Any = Job(case, store).dataset(rank)
    if case.mode == "direct":
        graph_settings.apply_sharding(pipe, case.world, rank)
    generator = torch.Generator().manual_seed(case.seed)
    graph_settings.apply_random_seed(pipe, generator)
    return Session(case, pipe)
