"""Patience: when a request that failed is sent again, and for how long.

Two questions have two answers. *Is there a cluster at all?* Before the first good answer a
request fails after ``max_retries``, within seconds. *Will it be back?* After it, a failure is
believed only where the cluster is whole and quiet (see `inspection`); otherwise this is an
outage, and the request is sent again until that has lasted for ``outage_deadline_s``.

What holds:

* A failure is believed only if the cluster was found whole *before* the request was sent: the
  last answer of a bad moment, seen when all is well again, does not count. So what is missing in
  a healthy cluster costs an inspection and one more request, and for a second then only itself.
* An outage has one beginning, whichever requests run into it, and its deadline counts from the
  last time that waiting was worth it. Requests that come after it fail at once, so that to skip
  what cannot be reached does not take minutes for each.
* As long as nothing fails, only the map is asked for: once in a process, and with each page of a
  listing, which a target that leaves makes shorter without an error.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from aisdatapipes.client.inspection import Ask, Inspection, inspect_cluster, request_map
from aisdatapipes.client.knowledge import known_cluster, remember_cluster
from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.client.outage import Outage
from aisdatapipes.client.settings import Settings
from aisdatapipes.metrics.counters import ProcessCounters, counting, current_counters
from aisdatapipes.processes.background import in_thread

__all__ = ["Patience", "had_trouble", "ongoing_trouble"]

# For how long the cluster counts as it was found: whole, or with a problem.
_WHOLE_S = 1.0
_PROBLEM_S = 0.5
# How often a map is asked for before it counts as not to be had.
_MAP_REQUESTS = 2
# How often it is looked at in an outage in which requests are answered.
_LOOK_AGAIN_S = 2.0
# How long a map must be the same before it counts: objects begin to move a little later.
_SETTLING_S = 3.0
# For how long connections between nodes may be broken, that nobody has used since.
_AFTERMATH_S = 300.0


@dataclass(frozen=True)
class _Trouble:
    """The last inspection of a cluster that found a problem, and whether it is there still."""

    found: Inspection
    is_there: bool = True


@dataclass(frozen=True)
class _MapChange:
    """The version that a cluster's map has, and since when."""

    version: int
    since: float


_troubles: dict[str, _Trouble] = {}  # by endpoint


def ongoing_trouble(endpoint: str) -> Inspection | None:
    """Return what was wrong with a cluster when it was last looked at; None if nothing."""
    trouble = _troubles.get(endpoint)
    return trouble.found if trouble and trouble.is_there else None


def had_trouble(endpoint: str) -> bool:
    """Whether a process of this job found a cluster not whole in the last minutes."""
    troubled_at = known_cluster(endpoint).troubled_at
    return troubled_at > 0 and time.monotonic() - troubled_at < _AFTERMATH_S


class Patience:
    """How the cluster of a client is, as far as its requests have found out; threads share it.

    Args:
        endpoint: Address of the cluster.
        settings: Retries, pauses and deadlines.
        ask: Sends a request a single time; see `Ask`.

    Attributes:
        address: Where requests go now: the endpoint, or a proxy that has taken over.
        outage: The present one, if there is one.
    """

    def __init__(self, endpoint: str, settings: Settings, ask: Ask) -> None:
        self.endpoint = self.address = endpoint
        self.settings = settings
        self.outage = Outage(endpoint, settings.outage_deadline_s)
        self._ask = ask
        self._lock = threading.Lock()
        self._last = Inspection(float("-inf"), float("-inf"), "")
        self._change = _MapChange(-1, 0.0)
        self._has_learned = False

    @property
    def knows_cluster(self) -> bool:
        """Whether there was a good answer, in this process or in the one that started it."""
        return known_cluster(self.endpoint).nodes is not None

    def saw_answer(self) -> None:
        """Take note of a good answer.

        The first one is the time to ask who is in the cluster. In an outage it may be the end of
        it; nobody has to wait until that is known.
        """
        if not self._has_learned:
            self._has_learned = True
            self._learn()
        if self.outage.goes_on and time.monotonic() - self._last.ended > _LOOK_AGAIN_S:
            in_thread(self._inspect_for, current_counters())

    def fail_over(self, failed: str) -> None:
        """Let requests go to another address, if they still go to the one that failed."""
        addresses = known_cluster(self.endpoint).addresses(self.endpoint)
        with self._lock:
            if self.address == failed:
                position = addresses.index(failed) if failed in addresses else -1
                self.address = addresses[(position + 1) % len(addresses)]

    def inspect(self) -> Inspection:
        """Look at the cluster; or return what another request has just found."""
        asked = time.monotonic()
        with self._lock:
            is_recent = self._last.problem and asked - self._last.ended < _PROBLEM_S
            if self._last.began < asked and not is_recent:
                self._last = self._look()
            return self._last

    def can_be_listed(self) -> bool:
        """Whether the cluster is whole, or was before; or whether there is none that has a map."""
        if known_cluster(self.endpoint).is_found_whole:
            return True
        self._learn()
        return not (self.knows_cluster and self.inspect().problem)

    def has_same_nodes(self) -> bool:
        """Whether the cluster's map is that of when it was last found whole."""
        known = known_cluster(self.endpoint)
        return known.is_found_whole and self._request_map() == known.nodes

    def was_whole(self, at: float) -> bool:
        """Whether the cluster had been found whole right before `at`."""
        return not self._last.problem and 0 <= at - self._last.ended <= _WHOLE_S

    def _learn(self) -> None:
        if not self.knows_cluster:
            remember_cluster(self.endpoint, nodes=self._request_map())

    def _request_map(self) -> ClusterMap | None:
        """Request the map, more than once: a busy proxy may be slow, and is whole all the same."""
        maps = (request_map(self._ask, self.address) for _ in range(_MAP_REQUESTS))
        return next(filter(None, maps), None)

    def _inspect_for(self, counters: ProcessCounters | None) -> None:
        with counting(counters):
            self.inspect()

    def _look(self) -> Inspection:
        known = known_cluster(self.endpoint)
        addresses = sorted(known.addresses(self.endpoint), key=self.address.__ne__)
        seen = known.nodes or ClusterMap("", 0)
        found = inspect_cluster(self._ask, addresses, seen)
        if found.nodes and seen.targets.keys() & found.nodes.leaving:
            # Its objects move to the others first. Later, when it is in no map, nobody could tell.
            remember_cluster(self.endpoint, nodes=seen.without(found.nodes.leaving))
        if found.nodes and found.nodes.version != self._change.version:
            since = found.began if found.nodes != seen else 0.0
            self._change = _MapChange(found.nodes.version, since)
        if not found.problem and found.began - self._change.since < _SETTLING_S:
            found = replace(found, problem="its nodes have just changed")
        if found.problem:
            _troubles[self.endpoint] = _Trouble(found)
            remember_cluster(self.endpoint, troubled_at=found.ended)
        else:
            if trouble := _troubles.get(self.endpoint):
                _troubles[self.endpoint] = replace(trouble, is_there=False)
            remember_cluster(self.endpoint, nodes=found.nodes, is_found_whole=True)
            self.outage.end()
        return found
