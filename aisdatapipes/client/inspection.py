"""Inspection: is the cluster whole and quiet, so that what it says of an object can be believed?

A node that has just started, or that just got objects to keep which are still elsewhere, says
"not found" of objects that exist. So such an answer counts only if every target that this process
has seen is there and ready, all nodes have the same map, and no objects are on their way between
targets.

Source: AIStore v1.5.0, ``cmn/cos/node_state.go``; and what real nodes answer on bad days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.processes.background import in_thread

__all__ = ["Ask", "Inspection", "inspect_cluster", "request_map"]

Ask = Callable[[str, Mapping[str, str]], Any]
"""Requests a path below an address, with the fields of a query; returns the JSON of the answer.
None if there is none."""

_STARTED = 1 << 1 | 1 << 2
_FLAGS = {
    1 << 0: "elects a primary",
    1 << 3: "rebalances",
    1 << 4: "has not finished to rebalance",
    1 << 5: "resilvers",
    1 << 6: "has not finished to resilver",
}


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        began: When it began, as `time.monotonic` counts.
        ended: When it ended.
        problem: What is wrong, for the user; empty if the cluster is whole and quiet.
        silent: Addresses of the targets that do not answer.
        nodes: The map of the cluster; None if no proxy gave one.
    """

    began: float
    ended: float
    problem: str
    nodes: ClusterMap | None = None
    silent: frozenset[str] = frozenset()


def request_map(ask: Ask, address: str) -> ClusterMap | None:
    """Request the map of the cluster; None if there is no answer, or it is no map."""
    try:
        return ClusterMap.parse(ask(f"{address}/v1/daemon", {"what": "smap"}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def inspect_cluster(ask: Ask, addresses: list[str], seen: ClusterMap) -> Inspection:
    """Look at all nodes.

    Args:
        ask: Sends the requests, a single time each.
        addresses: Where there may be a proxy.
        seen: The last map that was whole.
    """
    began = time.monotonic()
    maps = ((address, request_map(ask, address)) for address in addresses)
    proxy, nodes = next(((address, found) for address, found in maps if found), ("", None))
    if nodes is None:
        problem = f"no proxy answers at {', '.join(addresses)}"
        return Inspection(began, time.monotonic(), problem)
    targets = _expected(nodes, seen)
    asked = {address: in_thread(partial(_ask_state, ask), address) for address in targets.values()}
    states = {address: state.result() for address, state in asked.items()}
    troubles = {
        f"target {name} at {address}": _trouble_of_target(name, states[address], nodes)
        for name, address in targets.items()
    }
    ready = list(troubles.values()).count("")
    for address in {proxy, nodes.primary}:  # the others may be missing: nobody waits for them
        troubles[f"proxy at {address}"] = _trouble_of(_ask_state(ask, address), nodes)
    wrong = ", ".join(f"{node} {trouble}" for node, trouble in troubles.items() if trouble)
    problem = f"{wrong}; {ready} of {len(targets)} targets are ready" if wrong else ""
    silent = frozenset(address for address, state in states.items() if state is None)
    return Inspection(began, time.monotonic(), problem, nodes, silent)


def _ask_state(ask: Ask, address: str) -> Any:
    return ask(f"{address}/v1/health", {"cii": "true"})


def _expected(nodes: ClusterMap, seen: ClusterMap) -> dict[str, str]:
    """Return the addresses of all targets that have to be there, by their IDs."""
    # With another ID it is another cluster, at an address that was used before.
    targets = {**(seen.targets if seen.uuid == nodes.uuid else {}), **nodes.targets}
    return {name: address for name, address in targets.items() if name not in nodes.leaving}


def _trouble_of_target(name: str, state: Any, nodes: ClusterMap) -> str:
    """Return what is wrong with a target; empty if nothing is."""
    if name not in nodes.targets:
        return "does not answer" if state is None else "is not in the cluster's map"
    return _trouble_of(state, nodes)


def _trouble_of(state: Any, nodes: ClusterMap) -> str:
    """Return what is wrong with a node; empty if nothing is."""
    try:
        flags, version = int(state["flags"]), int(state["smap"]["version"])
    except (KeyError, TypeError, ValueError):
        return "does not answer"
    if flags & _STARTED != _STARTED:
        return "has not started yet"
    if version != nodes.version:
        return f"has map {version} of the cluster, where its proxy has {nodes.version}"
    return next((words for flag, words in _FLAGS.items() if flags & flag), "")
