"""Merging: one state of those of all ranks and workers, for any other number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from aisdatapipes.checkpoint.state import (
    Checkpoint,
    PastStop,
    PositionProgress,
    ShardProgress,
    WorkerProgress,
)
from aisdatapipes.distributed.partition import Partition
from aisdatapipes.distributed.world import World
from aisdatapipes.errors import StateMismatchError

__all__ = ["MERGE", "merge_states"]

MERGE = "merge the states of all its ranks and workers with aisdatapipes.merge_states"

# So that a state of many workers is a few kilobytes too.
_MOST_RANGES = 400


def merge_states(*states: Any) -> dict[str, Any]:
    """Make one state of those of all ranks and workers, for any other number of them.

    Give the result to ``load_state_dict`` of the datasets of the new run, in every rank, before
    their loaders are made. Each position that was not consumed then comes exactly once.

    Args:
        states: What ``state_dict()`` returned in each rank: of the dataset, or of the
            ``StatefulDataLoader`` around it; lists of these too.

    Raises:
        StateMismatchError: A rank or worker is missing or comes twice, states are of different
            runs, or a loader's state is older than what it has given out.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> def merged(folder: Path):
        ...     return merge_states([json.loads(file.read_text()) for file in folder.iterdir()])
    """
    found = [Checkpoint.from_dict(state) for state in _states_in(states)]
    if not found:
        raise StateMismatchError(
            "no state of a dataset of aisdatapipes in what is to be merged: give what state_dict() "
            "of the datasets or of their StatefulDataLoaders returned"
        )
    return _merged(found).to_dict()


def _merged(found: list[Checkpoint]) -> Checkpoint:
    first = found[0]
    if first.worker is None and all(one == first for one in found):
        return first
    _check_same_run(found)
    partition, workers = _in_order(found)
    consumed = _run_lengths(one.consumed for one in workers)
    stop = PastStop(partition, consumed, _run_lengths(one.turn for one in workers))
    begun = _shortened({at: done for one in found for at, done in one.begun.items()})
    return replace(first, history=(*first.history, stop), begun=begun, worker=None)


def _run_lengths(counts: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return tuple((len(list(times)), count) for count, times in groupby(counts))


def _shortened(begun: dict[int, PositionProgress]) -> dict[int, PositionProgress]:
    """Return it with few enough ranges of buffered samples for all shards together.

    The nearest ranges of a shard are joined: what is between them is read again, and left out.
    """
    most = max(_MOST_RANGES // max(len(begun), 1), 1)
    return {
        at: replace(done, buffered=_joined(done.buffered, most))
        if isinstance(done, ShardProgress)
        else done
        for at, done in begun.items()
    }


def _joined(blocks: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return at most so many ranges, as gap, length, gap, …: those with the widest gaps between."""
    if len(blocks) <= 2 * most:
        return blocks
    gaps = sorted(range(2, len(blocks), 2), key=blocks.__getitem__, reverse=True)[: most - 1]
    borders = sorted(border for gap in gaps for border in (gap, gap + 1))
    return tuple(sum(blocks[one:end]) for one, end in pairwise([0, 1, *borders, len(blocks)]))


def _states_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Find the states of datasets in those of loaders, at whatever depth torchdata has them."""
    if isinstance(value, Mapping):
        if "manifest" in value and "version" in value:
            yield value
            return
        if steps := value.get("_steps_since_snapshot"):
            raise StateMismatchError(
                f"the loader has given out {steps} batches since the state of its workers was "
                "taken: make it with snapshot_every_n_steps=1"
            )
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for part in value:
        yield from _states_in(part)


def _check_same_run(found: list[Checkpoint]) -> None:
    def described(one: Checkpoint) -> dict[str, Any]:
        state = one.to_dict()
        partition = state["worker"] and state["worker"]["partition"]
        return {**state, "begun": None, "worker": None, "partition": partition}

    first = described(found[0])
    for other in map(described, found):
        for name, value in first.items():
            if other[name] != value:
                raise StateMismatchError(
                    f"states of different runs: {name} is {value!r} in one and {other[name]!r} in "
                    "another: give those that the ranks of one run took at the same step"
                )


def _in_order(found: list[Checkpoint]) -> tuple[Partition, list[WorkerProgress]]:
    """Return how the positions went to workers, and all of these, in their order."""
    workers: dict[World, WorkerProgress] = {}
    for one in found:
        if one.worker is None:
            raise StateMismatchError(f"the state of a run as a whole, among others: {MERGE}")
        if one.worker.world in workers:
            raise StateMismatchError(
                f"two states of {one.worker.world}: give one of each rank and worker"
            )
        workers[one.worker.world] = one.worker
    partition = next(iter(workers.values())).partition
    if missing := [one for one in partition.workers() if one not in workers]:
        raise StateMismatchError(
            f"no state of {missing[0]} among the {len(found)} that are to be merged: {MERGE}"
        )
    return partition, [workers[one] for one in partition.workers()]
