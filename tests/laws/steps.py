"""Laws of one epoch: who gives which samples, in how many steps, and what is said of the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from aisdatapipes.errors import TooManyErrorsError
from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.jobs import Job, Lanes, Session, Step, lanes_of
from laws.model import Model, law
from laws.store import Store

__all__ = ["Epoch", "has_idle_rank", "read_epoch", "read_whole"]


@dataclass
class Epoch:
    """An epoch that was read whole, and found to be lawful.

    Attributes:
        ranks: The steps of each rank.
        owned: The samples that each worker would have with ``uneven="keep"``, were all readable.
    """

    ranks: list[list[Step]]
    owned: Lanes


def read_whole(case: Case, store: Store, epoch: int = 0) -> Lanes:
    """Return which samples each worker owns: broken shards are replaced, ranks not evened out."""
    how = replace(
        case,
        uneven="keep",
        on_error="raise" if case.is_whole else "give",
        max_errors=None,
        mode="plain" if case.workers else "direct",
        batch=0,
        drop_last=False,
        start="fork",
        prefetch=2,
        is_persistent=False,
        snapshot=1,
        plan="whole",
        stops=(),
        carriers=("new",),
        worlds=(),
        epochs=(0,),
        is_peeked=False,
        number=None,
    )
    if (how, epoch) not in store.known:
        lanes = lanes_of(Job(how, store).epoch(epoch), case.workers)
        Model(how).check_partition(lanes)
        store.known[how, epoch] = lanes
    return store.known[how, epoch]


def read_epoch(case: Case, store: Store, epoch: int = 0) -> Epoch:
    """Read an epoch in one go, and check it."""
    owned = read_whole(case, store, epoch)
    model = Model(case)
    job = Job(case, store)
    ranks: list[list[Step]] = []
    for rank in range(case.world):
        dataset = job.dataset(rank)
        dataset.set_epoch(epoch)
        ranks.append(_read(case, Session(case, dataset), model, _of_rank(owned, rank)))
        _check_skipped(case, store, dataset, model, _of_rank(owned, rank))
    _check_lanes(case, model, owned, lanes_of(ranks, case.workers))
    return Epoch(ranks, owned)


def _read(case: Case, session: Session, model: Model, owned: list[list[str]]) -> list[Step]:
    """Read a rank; a limit of errors is kept (law i)."""
    most = max((len(model.failures_of(lane)) for lane in owned), default=0)
    is_too_many = case.max_errors is not None and most > case.max_errors
    try:
        steps = session.take()
    except TooManyErrorsError as error:
        law("i", is_too_many, f"{most} failures of a worker: {error}")
        return []
    law("i", not is_too_many, f"{most} failures of a worker, nothing was raised")
    return steps


def _of_rank(lanes: Lanes, rank: int) -> list[list[str]]:
    return [lane for (r, _), lane in lanes.items() if r == rank]


def _check_skipped(
    case: Case, store: Store, dataset: object, model: Model, owned: list[list[str]]
) -> None:
    """What was skipped is named and counted (law e)."""
    urls, counters = dataset.skipped_urls(), dataset.counters()  # pyright: ignore[reportAttributeAccessIssue]
    law("e", counters.skipped == len(urls), f"{counters.skipped} skipped, and named are {urls}")
    if case.max_errors is not None:
        return
    names = store.layout(case).names
    found = {int(url.rpartition("/")[2]) for url in urls}
    faulty = {
        url
        for row in model.broken
        for url, fault in zip(store.urls(names[row]), case.rows[row].faults, strict=True)
        if fault
    }
    law("e", case.on_error != "give" or not urls, f"{urls} are named, and all were replaced")
    law("e", faulty.issuperset(urls), f"{sorted(set(urls) - faulty)} are named, and not broken")
    expected = set().union(*map(model.rows_of, owned)) if case.on_error != "give" else set()
    if case.uneven != "drop":
        law("e", found >= expected, f"rows {sorted(expected - found)} are not named: {urls}")
    if case.uneven == "keep":
        most = len(faulty)
        if ADAPTERS[case.kind].counts_samples:
            most = sum(len(model.failures_of(lane)) for lane in owned)
        law("e", found <= expected and len(urls) <= most, f"named too often: {urls}")


def _check_lanes(case: Case, model: Model, owned: Lanes, lanes: Lanes) -> None:
    """Every worker gives its own, and what evens out the ranks (laws a, b, e and g)."""
    if case.max_errors is not None:
        return
    seen = {sample for lane in lanes.values() for sample in lane}
    given = {key: model.given(own, seen) for key, own in owned.items()}
    pool = {sample for own in given.values() for sample in own}
    size = case.batch if case.mode != "direct" and case.drop_last and case.batch else 1
    for worker in range(max(case.workers, 1)):
        keys = [(rank, worker) for rank in range(case.world)]
        counts = {key: len(lanes[key]) for key in keys}
        if case.uneven != "keep" and (case.is_whole or ADAPTERS[case.kind].is_even_after_skips):
            law("b", len(set(counts.values())) == 1, f"samples of worker {worker}: {counts}")
        for key in keys:
            _check_order(case, key, given[key], lanes[key])
            least, most = _bounds(case, keys, key, given, owned)
            text = f"rank, worker {key}: {lanes[key]} of {given[key]}; {least} to {most} expected"
            law("e" if model.broken else "a", least // size * size <= counts[key], text)
            law("a", counts[key] <= most // size * size, text)
            strange = [sample for sample in lanes[key] if sample not in pool]
            law("a", not strange, f"{key} gave {strange}")


def _check_order(case: Case, key: tuple[int, int], given: list[str], lane: list[str]) -> None:
    own = lane[: len(given)]
    if not case.shuffle or case.is_whole or case.on_error == "give":
        law("a", own == given[: len(own)], f"rank, worker {key} gave {lane}, its own are {given}")
    else:
        text = f"rank, worker {key} gave {lane}, its own are {given} in some order"
        law("e", not Counter(own) - Counter(given), text)


def _bounds(
    case: Case, keys: list[tuple[int, int]], key: tuple[int, int], given: Lanes, owned: Lanes
) -> tuple[int, int]:
    """Return the least and the largest number of samples that a worker may give."""
    own = [len(given[one]) for one in keys]
    alleged = [len(owned[one]) for one in keys]
    if not any(map(len, given.values())):
        return 0, 0
    if case.uneven == "keep":
        return len(given[key]), len(given[key])
    choose = max if case.uneven == "pad" else min
    if not ADAPTERS[case.kind].is_even_after_skips and case.on_error != "give":
        spare = choose(alleged) - len(owned[key])  # evened out by what was listed
        return len(given[key]) + min(spare, 0), len(given[key]) + max(spare, 0)
    return choose(own), choose(alleged)


def has_idle_rank(case: Case, owned: Lanes) -> bool:
    """Whether ``"drop"`` would leave nothing for a worker, as a rank has no sample for it."""
    return case.world > 1 and not all(owned.values())
