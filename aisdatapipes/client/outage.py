"""Outages: since when a cluster has not been whole, and whether to wait for it any longer."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from aisdatapipes.metrics.counters import increment

__all__ = ["Outage"]

# For how long it counts that nothing came, where the reason is looked for.
_SUSPICION_S = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Silence:
    """A time in which an answer did not come."""

    began: float
    ended: float


class Outage:
    """The outage of one cluster, if there is one; threads share it.

    It begins when a request has to wait, and ends when the cluster is found whole. Requests that
    come after its deadline do not wait. That counts from the last time that waiting was worth it:
    objects may move for hours, and meanwhile a request fails now and then, and then does not.

    Args:
        endpoint: Address of the cluster, for the log.
        deadline_s: For how long requests wait in vain.
    """

    def __init__(self, endpoint: str, deadline_s: float) -> None:
        self._endpoint = endpoint
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._began: float | None = None
        self._in_vain_since: float | None = None
        self._last_seen = 0.0
        self._silence = _Silence(float("-inf"), float("-inf"))

    @property
    def goes_on(self) -> bool:
        """Whether there is one, as far as anyone knows."""
        return self._began is not None

    def seconds_left(self, problem: str, since: float) -> float:
        """Take note that the cluster is not whole, and return for how long a request may wait.

        Args:
            problem: What is wrong with it, for the log.
            since: Since when the request waits.

        Returns:
            Seconds; none, or less than none, if it is not to wait any more.
        """
        with self._lock:
            now = time.monotonic()
            is_recent = now - self._silence.ended < _SUSPICION_S
            begins = self._silence.began if is_recent else now
            # Where nobody looked for so long, it may have been whole in between.
            if self._began is None or now - self._last_seen > self._deadline_s:
                self._began, self._in_vain_since = begins, None
                _logger.warning(
                    "cluster at %s: %s; requests wait for it, up to %g s (outage_deadline_s)",
                    self._endpoint,
                    problem,
                    self._deadline_s,
                )
            self._last_seen = now
            if now - since >= self._deadline_s:
                self._in_vain_since = since  # so that others do not wait any more either
            elif self._in_vain_since is None:
                self._in_vain_since = min(begins, since)
            return self._deadline_s - (now - min(self._in_vain_since, since))

    def was_worth_waiting(self) -> None:
        """Take note that a request that had to wait has its answer, unless others gave up."""
        with self._lock:
            since = self._in_vain_since
            if since is not None and time.monotonic() - since < self._deadline_s:
                self._in_vain_since = None

    def suspect(self, since: float) -> None:
        """Take note that nothing came since then; if there is an outage, it has lasted as long."""
        with self._lock:
            self._silence = _Silence(since, time.monotonic())

    def end(self) -> None:
        """Take note that the cluster is whole."""
        with self._lock:
            if self._began is None:
                return
            lasted_s = time.monotonic() - self._began
            self._began = None
        increment("outage_s", lasted_s)
        _logger.warning("cluster at %s is whole again, after %.1f s", self._endpoint, lasted_s)
