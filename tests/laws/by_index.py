"""Laws of samples that are read by index: a sampler says which, whoever of the workers reads them.

What comes is known to the last step: the order is the sampler's, batches are cut out of it, and
the workers take turns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from random import Random
from typing import Any

import torch
from torch.utils.data import DistributedSampler, Subset, WeightedRandomSampler

from aisdatapipes import ShardBlockSampler
from aisdatapipes.errors import AISPipeError, TooManyErrorsError
from laws.cases import Case
from laws.jobs import Job, Session, Step, carried
from laws.model import Model, equal, law
from laws.shards import replaced
from laws.store import Store

__all__ = ["check_by_index"]


@dataclass
class _Expected:
    """What one rank has to give.

    Attributes:
        steps: Until the first error.
        lost: For each worker, the samples that it skips.
        raises: Whether there is an error, and of which class.
    """

    steps: list[Step] = field(default_factory=list)
    lost: dict[int, list[str]] = field(default_factory=dict)
    raises: type[AISPipeError] | None = None


def check_by_index(case: Case, store: Store) -> None:
    """Read a case by index, and check its plan."""
    if case.on_error in ("skip", "none") and not case.batch:
        case = replace(case, on_error="raise")  # a sample alone has nothing to be left out of
    model = Model(replace(case, shuffle=False))
    numbers = case.epochs if case.plan == "epochs" else (0,)
    for number in numbers:
        _check_orders(case, store, number)
    for rank in range(case.world):
        _check_rank(case, store, model, rank, numbers)


def _check_rank(
    case: Case, store: Store, model: Model, rank: int, numbers: tuple[int, ...]
) -> None:
    session, dataset, sampler = _begun(case, store, rank)
    skipped: Counter[str] = Counter()
    for number in numbers:
        _set_epoch(sampler, number)
        expected = _expected(case, model, _order(case, store, rank, number))
        if not _reads(session, expected, f"rank {rank} in epoch {number}"):
            return
        skipped.update(chain.from_iterable(expected.lost.values()))
        _check_skipped(dataset, skipped)
        if case.plan == "resume" and case.mode == "stateful":
            _check_resume(case, store, rank, expected.steps)
    if len(numbers) == 1:
        _check_next(case, store, model, rank, session)


def _reads(session: Session, expected: _Expected, text: str) -> bool:
    """Read an epoch; return whether it came to its end, as it should have (laws a, e, g, i)."""
    try:
        found = session.take()
    except AISPipeError as error:
        why = f"{text}: {type(error).__name__}: {error}"
        law("i", expected.raises and isinstance(error, expected.raises), why)
        return False
    law("i", not expected.raises, f"{text}: nothing was raised")
    equal("a", found, expected.steps, text)
    return True


def _check_skipped(dataset: Any, lost: Counter[str]) -> None:
    """Every sample that is left out is named once (law e)."""
    rows = Counter(int(url.rpartition("/")[2]) for url in dataset.skipped_urls())
    expected = Counter(int(sample[:2]) for sample in lost.elements())
    law("e", rows == expected, f"rows {rows} are named, and not {expected}")
    law("e", dataset.counters().skipped == lost.total(), f"{dataset.counters()}, not {lost}")


def _check_next(case: Case, store: Store, model: Model, rank: int, session: Session) -> None:
    """Nobody says which epoch it is (law l): one rank alone goes on with blocks to the next."""
    if case.max_errors is not None or case.sampler == "weighted":
        return
    number = int(case.sampler == "blocks" and case.world == 1)
    expected = _expected(case, model, _order(case, store, rank, number))
    _reads(session, expected, f"rank {rank}, the pass after another")


def _check_resume(case: Case, store: Store, rank: int, steps: list[Step]) -> None:
    """Head and tail are the steps without a stop, whoever of the workers reads them (law c)."""
    session, dataset, _ = _begun(case, store, rank)
    found: list[Step] = []
    for count, how in zip(case.stops, case.carriers, strict=True):
        left = len(steps) - len(found)
        found += session.take(min(count, left) if count >= 0 else max(left + count, 0))
        state = session.state()
        if how != "same":
            session.close()
            dataset = carried(how, dataset) if how in ("deepcopy", "pickle") else None
            session, dataset, _ = _begun(case, store, rank, dataset)
        session.load(state)
    found += session.take()
    found, expected = (list(map(_without_workers, one)) for one in (found, steps))
    equal("c", found, expected, f"rank {rank} stopped after {case.stops} steps")


def _without_workers(step: Step) -> Step:
    return tuple((0, sample) for _, sample in step)


def _check_orders(case: Case, store: Store, number: int) -> None:
    """Samplers give every sample to one rank, and to all of them equally many (laws a and b)."""
    orders = [_order(case, store, rank, number) for rank in range(case.world)]
    again = [_order(case, store, rank, number) for rank in range(case.world)]
    law("f", orders == again, f"{again} in place of {orders}")
    if case.sampler == "weighted":
        return
    found, count = Counter(chain.from_iterable(orders)), len(_choice(case))
    sizes, text = {len(order) for order in orders}, f"of {count} samples: {orders}"
    evened = case.sampler != "blocks" or case.uneven != "keep"
    law("b", len(sizes) <= 1 if evened else max(sizes) - min(sizes) <= 1, text)
    if case.uneven == "drop":
        law("a", max(found.values(), default=1) == 1, f"twice, {text}")
        law("a", count - found.total() < case.world, f"too many are dropped, {text}")
        return
    law("a", found.keys() == set(range(count)), f"not all, {text}")
    law("a", found.total() - count < (case.world if evened else 1), f"too many come twice, {text}")


def _choice(case: Case) -> list[int]:
    """Return which samples there are to choose from."""
    count = sum(row.count for row in case.rows)
    if case.share == 10:
        return list(range(count))
    return Random(case.seed).sample(range(count), count * case.share // 10)


def _order(case: Case, store: Store, rank: int, number: int) -> list[int]:
    _, _, sampler = _begun(replace(case, workers=0), store, rank)
    _set_epoch(sampler, number)
    return list(sampler)


def _begun(case: Case, store: Store, rank: int, dataset: Any = None) -> tuple[Session, Any, Any]:
    """Return the reading of a rank, its dataset and its sampler."""
    dataset = dataset or Job(case, store).dataset(rank)
    chosen: Any = Subset(dataset, _choice(case)) if case.share < 10 else dataset
    sampler = _sampler(case, chosen, rank)
    return Session(case, chosen, sampler), dataset, sampler


def _sampler(case: Case, dataset: Any, rank: int) -> Any:
    if case.sampler == "blocks":
        return ShardBlockSampler(
            dataset,
            case.buffer,
            case.run,
            seed=case.seed,
            rank=rank,
            world_size=case.world,
            uneven=case.uneven,
        )
    if case.sampler == "weighted" and len(dataset):
        generator = torch.Generator().manual_seed(case.seed + rank)
        return WeightedRandomSampler([1.0] * len(dataset), len(dataset), generator=generator)
    return DistributedSampler(
        dataset,
        case.world,
        rank,
        shuffle=case.shuffle,
        seed=case.seed,
        drop_last=case.uneven == "drop",
    )


def _set_epoch(sampler: Any, number: int) -> None:
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(number)


def _expected(case: Case, model: Model, order: list[int]) -> _Expected:
    size = max(case.batch, 1)
    if case.drop_last and case.batch:
        order = order[: len(order) // size * size]
    choice, expected = _choice(case), _Expected()
    for number, first in enumerate(range(0, len(order), size)):
        worker = number % max(case.workers, 1)
        samples = [model.every[choice[place]] for place in order[first : first + size]]
        given = [_given(model, sample) for sample in samples]
        lost = expected.lost.setdefault(worker, [])
        lost += [sample for sample, one in zip(samples, given, strict=True) if one is None]
        step = tuple((worker, one) for one in given if one is not None)
        expected.raises = _error(case, is_empty=not step, lost=len(lost))
        if expected.raises:
            break
        expected.steps.append(step)
    return expected


def _given(model: Model, sample: str) -> str | None:
    """Return what comes of a sample: itself, what stands in for it, or nothing."""
    return next((one for one in (sample, replaced(sample)) if one in model.certain), None)


def _error(case: Case, *, is_empty: bool, lost: int) -> type[AISPipeError] | None:
    if lost and case.on_error == "raise":
        return AISPipeError
    is_too_many = case.max_errors is not None and lost > case.max_errors
    return TooManyErrorsError if is_empty or is_too_many else None
