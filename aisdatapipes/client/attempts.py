"""Attempts: whether a request that failed is sent again, when, and whether its answer counts.

What holds of them all is said in `patience`, which knows how the cluster is.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from aisdatapipes.client.knowledge import known_cluster
from aisdatapipes.client.patience import Patience
from aisdatapipes.errors import ClusterError
from aisdatapipes.metrics.counters import increment
from aisdatapipes.processes.background import leave_at_end, pause

__all__ = ["Attempts"]


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

    def succeeded(self) -> None:
        """Take note that there is a good answer."""
        self._patience.saw_answer()
        if self._is_waiting:
            self._patience.outage.was_worth_waiting()

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
            left_s = self._seconds_left(problem)
            return left_s > 0 and self._again_after(min(pause_s, left_s))
        self._was_whole = True
        if self._is_waiting:
            self._failures, self._began, self._is_waiting = 0, time.monotonic(), False
        return self._again_after(pause_s if retries_left > 0 else 0)

    def _seconds_left(self, problem: str) -> float:
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        self._is_waiting = True
        return self._patience.outage.seconds_left(problem, self._waits_since)

    def _again_after(self, pause_s: float) -> bool:
        if pause_s:
            increment("retries")
            self._pause(pause_s)
        self._sent = time.monotonic()
        return True
