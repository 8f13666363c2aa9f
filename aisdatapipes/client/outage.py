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
    come after its deadline do not wait.

    Args:
        endpoint: Address of the cluster, for the log.
        deadline_s: For how long requests wait, counted from its beginning.
    """

    def __init__(self, endpoint: str, deadline_s: float) -> None:
        self._endpoint = endpoint
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._began: float | None = None
        self._last_seen = 0.0
        self._silence = _Silence(float("-inf"), float("-inf"))

    @property
    def goes_on(self) -> bool:
        """Whether there is one, as far as anyone knows."""
        return self._began is not None

    def is_worth_waiting(self, problem: str) -> bool:
        """Take note that the cluster is not whole, and return whether it may be again in time.

        Args:
            problem: What is wrong with it, for the log.
        """
        with self._lock:
            now = time.monotonic()
            # Where nobody looked for so long, it may have been whole in between.
            if self._began is None or now - self._last_seen > self._deadline_s:
                is_recent = now - self._silence.ended < _SUSPICION_S
                self._began = self._silence.began if is_recent else now
                _logger.warning(
                    "cluster at %s: %s; requests wait for it, up to %g s (outage_deadline_s)",
                    self._endpoint,
                    problem,
                    self._deadline_s,
                )
            self._last_seen = now
            return now - self._began < self._deadline_s

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
