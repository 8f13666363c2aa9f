"""Resuming: the state of an iteration as plain data, checked when it is taken up, and merged.

A state is a small dictionary that JSON can hold. It says which data in which order it is about
(``version``, ``dataset``, ``manifest``, ``seed``, ``shuffle``, ``epoch``, ``order``), whose
state it is (``dealing``, ``lane``), and how far that lane has come: ``consumed`` positions of its
share, and of ``partial`` ones, as shards are, what was read. ``deals`` are the stops before which
other lanes read: what remains of an order after them is what is dealt now.

The state of a run as a whole has no ``lane``; `merge_states` makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any

import torch

from aisdatapipes.distributed.partition import Dealing, remaining
from aisdatapipes.distributed.world import Lane
from aisdatapipes.errors import StateMismatchError

__all__ = ["REPEATED", "VERSION", "check_state", "lane_of", "merge_states", "undealt"]

VERSION = 1
REPEATED = "repeated"
"""In place of a position in ``partial``: the last one of a lane, where it is another lane's."""

_MERGE = "merge the states of all its ranks and workers with aisdatapipes.merge_states"
_NEXT_STEPS = {
    "version": "load it with the release of aisdatapipes that it is of",
    "dataset": "load it into a dataset of that class",
    "manifest": "make the dataset of the same sources, or of the manifest that the run saved",
    "seed": "make the dataset with the seed of the state",
    "shuffle": "make the dataset with the shuffle of the state",
    "epoch": "call set_epoch with the epoch of the state, or start without it",
    "order": "shuffle with the torch that the run had",
    "lane": _MERGE,
    "dealing": _MERGE,
}
_FIELDS = (*_NEXT_STEPS, "deals", "consumed", "partial")


def check_state(state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that a state is about what a dataset has.

    Args:
        state: Of a dataset.
        expected: Some of the fields of a state, as the dataset would write them.

    Raises:
        StateMismatchError: A field differs, or there is none; the message names both values.
    """
    if missing := [name for name in _FIELDS if name not in state]:
        raise StateMismatchError(
            f"no state of a dataset of aisdatapipes: it has no {missing[0]!r}: give what "
            "state_dict() or merge_states returned"
        )
    for name, value in expected.items():
        if state[name] != value:
            raise StateMismatchError(
                f"the state is of {name} {state[name]!r}, here it is {value!r}: {_NEXT_STEPS[name]}"
            )


def lane_of(state: Mapping[str, Any]) -> Lane:
    """Return the lane whose state it is.

    Raises:
        StateMismatchError: It is that of a whole run.
    """
    if state["lane"] is None:
        raise StateMismatchError(f"the state of a run as a whole, among others: {_MERGE}")
    rank, worker = state["lane"]
    dealing = Dealing(**state["dealing"])
    return Lane(rank, dealing.world_size, worker, dealing.num_workers)


def undealt(order: torch.Tensor, deals: Iterable[Mapping[str, Any]]) -> torch.Tensor:
    """Return what remains of an epoch's order after past deals, in order.

    Args:
        order: Of the epoch.
        deals: The ``deals`` of a state.
    """
    for deal in deals:
        consumed = list(chain.from_iterable([count] * times for times, count in deal["consumed"]))
        order = remaining(order, Dealing(**deal["dealing"]), consumed)
    return order


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
    found = list(_states_in(states))
    if not found:
        raise StateMismatchError(
            "no state of a dataset of aisdatapipes in what is to be merged: give what state_dict() "
            "of the datasets or of their StatefulDataLoaders returned"
        )
    first = found[0]
    if first["lane"] is None and all(state == first for state in found):
        return first
    _check_same_run(found)
    by_lane = _by_lane(found, Dealing(**first["dealing"]))
    counts = groupby(state["consumed"] for state in by_lane)
    deal = {
        "dealing": first["dealing"],
        "consumed": [[len(list(times)), count] for count, times in counts],
    }
    partial = {k: v for one in by_lane for k, v in one["partial"].items() if k != REPEATED}
    merged = {"deals": [*first["deals"], deal], "lane": None, "consumed": 0, "partial": partial}
    return first | merged


def _states_in(value: Any) -> Iterator[dict[str, Any]]:
    """Find the states of datasets in those of loaders, at whatever depth torchdata has them."""
    if isinstance(value, Mapping):
        if "manifest" in value and "lane" in value:
            yield dict(value)
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


def _check_same_run(states: list[dict[str, Any]]) -> None:
    for name in (*_NEXT_STEPS, "deals"):
        values = [state[name] for state in states]
        if name != "lane" and any(value != values[0] for value in values):
            other = next(value for value in values if value != values[0])
            raise StateMismatchError(
                f"states of different runs: {name} is {values[0]!r} in one and {other!r} in "
                "another: give those that the ranks of one run took at the same step"
            )


def _by_lane(states: list[dict[str, Any]], dealing: Dealing) -> list[dict[str, Any]]:
    found: dict[Lane, dict[str, Any]] = {}
    for state in states:
        lane = lane_of(state)
        if lane in found:
            raise StateMismatchError(f"two states of {lane}: give one of each rank and worker")
        found[lane] = state
    if missing := [lane for lane in dealing.lanes() if lane not in found]:
        raise StateMismatchError(
            f"no state of {missing[0]} among the {len(states)} that are to be merged: {_MERGE}"
        )
    return [found[lane] for lane in dealing.lanes()]
