"""The table of faults: what happens to a cluster, and what its readers are to make of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import requests

from aisdatapipes.testing import LocalCluster
from outages.readers import Reader

__all__ = ["FAULTS", "Fault"]

# AIStore's feature "Dont-Limit-Coexistence".
_COEXIST = "256"
# For objects that will not be back, in place of minutes.
_IMPATIENT = {"outage_deadline_s": 15.0}


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: What the table calls it.
        strike: Do it, and return when the cluster has all the nodes again that it will have.
        due: ``complete``: every epoch is, at once or some time later. ``error``: objects are lost,
            and every reader says so. ``skip``: they are reported as skipped, and nothing else.
        targets: How many the cluster has.
        proxies: How many it has.
        parity: How many targets may be lost; 0 for a bucket that is not erasure coded.
        settings: Keywords of the readers' `Settings`, where it is not the defaults that are tested.
        on_error: What the readers do with objects that fail.
        is_fast: Whether it is in every run of the tests.
        readers: Which of them read.
    """

    name: str
    strike: Callable[[LocalCluster], object]
    due: Literal["complete", "error", "skip"] = "complete"
    targets: int = 3
    proxies: int = 1
    parity: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    on_error: Literal["raise", "skip"] = "raise"
    is_fast: bool = False
    readers: Callable[[Reader], bool] = lambda reader: True  # noqa: ARG005


def kill_target(cluster: LocalCluster, back_after_s: float | None = None) -> None:
    """Kill a target, which is back later, or never."""
    cluster.stop_target(1, kill=True)
    if back_after_s is not None:
        time.sleep(back_after_s)
        cluster.start_target(1)


def kill_proxy(cluster: LocalCluster, back_after_s: float) -> None:
    """Kill the only proxy, which is back later."""
    cluster.stop_proxy(0, kill=True)
    time.sleep(back_after_s)
    cluster.start_proxy(0)


def pause_target(cluster: LocalCluster, for_s: float) -> None:
    """Let a target stand still for a while."""
    cluster.pause_target(1)
    time.sleep(for_s)
    cluster.resume_target(1)


def pause_proxy(cluster: LocalCluster, for_s: float) -> None:
    """Let the proxy stand still for a while."""
    cluster.pause_proxy(0)
    time.sleep(for_s)
    cluster.resume_proxy(0)


def remove_target(cluster: LocalCluster, action: str) -> None:
    """Let an administrator take a target out of the cluster, which moves its objects first.

    AIStore refuses that while batches are read, unless it is told to do several things at a time.
    """
    members = requests.get(f"{cluster.endpoint}/v1/daemon?what=smap", timeout=10).json()["tmap"]
    address = cluster.target_endpoints[1]
    (name,) = (key for key, node in members.items() if node["public_net"]["direct_url"] == address)
    order = {"action": action, "value": {"sid": name}}
    for change in ({"action": "set-config", "value": {"features": _COEXIST}}, order):
        requests.put(f"{cluster.endpoint}/v1/cluster", json=change, timeout=60).raise_for_status()


def kill_proxy_for_good(cluster: LocalCluster, index: int) -> None:
    """Kill one of the proxies; return when the others know."""
    cluster.stop_proxy(index, kill=True)
    while cluster.primary == index:
        time.sleep(0.2)


def lists(reader: Reader) -> bool:
    """Whether it lists in every epoch."""
    return reader.lists


def has_listed(reader: Reader) -> bool:
    """Whether it has listed before anything happens."""
    return not reader.lists


FAULTS = [
    Fault(
        "target killed, no redundancy",
        kill_target,
        due="error",
        settings=_IMPATIENT,
    ),
    Fault(
        'the same, on_error="skip"',
        kill_target,
        due="skip",
        settings=_IMPATIENT,
        on_error="skip",
        readers=has_listed,
    ),
    Fault("target killed, erasure coded 1+1", kill_target, parity=1, readers=has_listed),
    Fault("target killed, erasure coded 1+2", kill_target, targets=4, parity=2, readers=has_listed),
    Fault(
        "the same, listed after it",
        kill_target,
        due="error",
        targets=4,
        parity=2,
        settings=_IMPATIENT,
        readers=lists,
    ),
    Fault("target killed, back after 5 s", partial(kill_target, back_after_s=5), is_fast=True),
    Fault("target killed, back after 20 s", partial(kill_target, back_after_s=20)),
    Fault("target stands still for 10 s", partial(pause_target, for_s=10)),
    Fault("proxy stands still for 10 s", partial(pause_proxy, for_s=10)),
    Fault("proxy killed, back after 3 s", partial(kill_proxy, back_after_s=3), is_fast=True),
    Fault("proxy killed, back after 15 s", partial(kill_proxy, back_after_s=15)),
    Fault("cluster killed and restarted", partial(LocalCluster.restart, kill=True)),
    Fault("cluster restarted in good order", LocalCluster.restart),
    Fault("a fourth target joins", LocalCluster.add_target),
    Fault("target put into maintenance", partial(remove_target, action="start-maintenance")),
    Fault("target decommissioned", partial(remove_target, action="decommission-node")),
    Fault("target shut down by the API", partial(remove_target, action="shutdown-node")),
    Fault(
        "secondary of two proxies killed",
        partial(LocalCluster.stop_proxy, index=1, kill=True),
        proxies=2,
    ),
    Fault("primary of two proxies killed", partial(kill_proxy_for_good, index=0), proxies=2),
]
"""All rows, in the order of the table."""
