"""Patience: when a request that failed is sent again, and for how long.

Two questions have two answers. *Is there a cluster at all?* Before the first good answer a
request fails after ``max_retries``, within seconds. *Will it be back?* After it, a failure is
believed only where the cluster is whole and quiet (see `inspection`); otherwise this is an
outage, and the request is sent again until that has lasted for ``outage_deadline_s``.

What holds:

* A failure is believed only if the cluster was found whole *before* the request was sent: the
  last answer of a bad moment, seen when all is well again, does not count. So what is missing in
  a healthy cluster costs an inspection and one more request, and for a second then only itself.
* An outage has one beginning, whichever requests run into it. Those that come after its
  deadline fail at once, so that to skip what cannot be reached does not take minutes for each.
* As long as nothing fails, only the map is asked for: once in a process, and with each page of a
  listing, which a target that leaves makes shorter without an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from aisdatapipes.client.inspection import Ask, Inspection, inspect_cluster, request_map
from aisdatapipes.client.knowledge import known_cluster, remember_cluster
from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.client.outage import Outage
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import ClusterError
from aisdatapipes.metrics.counters import ProcessCounters, counting, current_counters, increment
from aisdatapipes.processes.background import in_thread, leave_at_end, pause

__all__ = ["Attempts", "Patience", "had_trouble", "ongoing_trouble"]

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

# By endpoint: the last inspection that found a problem, and whether it is there still.
_troubles: dict[str, tuple[Inspection, bool]] = {}


def ongoing_trouble(endpoint: str) -> Inspection | None:
    """Return what was wrong with a cluster when it was last looked at; None if nothing."""
    found, is_there = _troubles.get(endpoint, (None, False))
    return found if is_there else None


def had_trouble(endpoint: str) -> bool:
    """Whether something was wrong with a cluster some minutes ago, or is now."""
    found, _ = _troubles.get(endpoint, (None, False))
    return found is not None and time.monotonic() - found.ended < _AFTERMATH_S


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
        self._changed: tuple[int, float] = (-1, 0.0)  # a map's version, and when it was first seen
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
        if found.nodes and found.nodes.version != self._changed[0]:
            self._changed = found.nodes.version, found.began if found.nodes != seen else 0.0
        if not found.problem and found.began - self._changed[1] < _SETTLING_S:
            found = replace(found, problem="its nodes have just changed")
        if found.problem:
            _troubles[self.endpoint] = found, True
        else:
            if self.endpoint in _troubles:
                _troubles[self.endpoint] = _troubles[self.endpoint][0], False
            remember_cluster(self.endpoint, nodes=found.nodes, is_found_whole=True)
            self.outage.end()
        return found


class Attempts:
    """The attempts to have one request answered.

    Args:
        patience: What is known of the cluster.
        pause: How to wait, for so many seconds.
    """

    def __init__(self, patience: Patience, pause: Callable[[float], object] = pause) -> None:
        self._patience = patience
        self._pause = pause
        self._began = self._sent = time.monotonic()
        self._waits_since: float | None = None
        self._is_waiting = False
        self._failures = 0
        self._was_whole = False

    def failed(self, *, is_refused: bool) -> bool:
        """Take note that the last attempt failed, and wait as long as it needs.

        Args:
            is_refused: The cluster has answered that it can not: to ask it again soon will not
                help, unless it is not whole.

        Returns:
            Whether to try again.

        Raises:
            SystemExit: This thread works in the background, and the process ends.
        """
        leave_at_end()
        is_believed = self._was_whole or self._patience.was_whole(self._sent)
        if is_refused and is_believed:
            # It takes no time to leave the cluster, in good order, or to come back.
            is_believed = self._patience.has_same_nodes()
        self._was_whole = False
        self._failures += 1
        pause_s = self._patience.settings.backoff_s(self._failures)
        retries_left = 0 if is_refused else self._retries_left(pause_s)
        if not (self._patience.knows_cluster and self._patience.settings.outage_deadline_s):
            return retries_left > 0 and self._again_after(pause_s)
        if retries_left > 1:
            return self._again_after(pause_s)
        if retries_left < 1 and is_believed:
            return False
        return self._inspect(pause_s, retries_left)

    def expect_pages(self) -> None:
        """Before its first listing, wait until the cluster is whole: no page counts before.

        Raises:
            ClusterError: It is too late to wait.
        """
        while not self._patience.can_be_listed():
            self._wait_to_list()
        self._sent = time.monotonic()

    def saw_page(self) -> bool:
        """Take note of a page of names, and return whether all are on it; if not, after a while.

        A target that has left the cluster, and one that just came, take names out of it silently.
        So it counts only if the cluster has the same nodes as when it was last found whole. Of an
        erasure-coded bucket too: what a lost target had is listed only when it has been read again.

        Raises:
            ClusterError: Some may be missing, and it is too late to wait.
        """
        if not self._patience.knows_cluster or self._patience.has_same_nodes():
            return True
        self._wait_to_list()
        return False

    def _wait_to_list(self) -> None:
        if not self.failed(is_refused=True):
            raise ClusterError(
                f"the cluster at {self._patience.endpoint} lists no bucket as a whole: "
                f"{self._patience.inspect().problem}: "
                "wait, or set Settings(outage_deadline_s=...) higher, or to 0 to take what there is"
            )

    def _retries_left(self, pause_s: float) -> int:
        settings = self._patience.settings
        is_late = time.monotonic() + pause_s > self._began + settings.retry_deadline_s
        # At first contact each address that the user gave has to be tried.
        known = known_cluster(self._patience.endpoint)
        most = settings.max_retries + (0 if known.nodes else len(known.others))
        return 0 if is_late else most - self._failures + 1

    def _inspect(self, pause_s: float, retries_left: int) -> bool:
        problem = self._patience.inspect().problem
        if problem:
            return self._is_in_time(pause_s, problem) and self._again_after(pause_s)
        self._was_whole = True
        if self._is_waiting:
            self._failures, self._began, self._is_waiting = 0, time.monotonic(), False
        return self._again_after(pause_s if retries_left > 0 else 0)

    def _is_in_time(self, pause_s: float, problem: str) -> bool:
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        self._is_waiting = True
        deadline_s = self._patience.settings.outage_deadline_s
        is_in_time = now + pause_s - self._waits_since < deadline_s
        return self._patience.outage.is_worth_waiting(problem) and is_in_time

    def _again_after(self, pause_s: float) -> bool:
        if pause_s:
            increment("retries")
            self._pause(pause_s)
        self._sent = time.monotonic()
        return True
