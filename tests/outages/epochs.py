"""The process of one reader: epoch after epoch, each checked, until it is told to stop."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from outages.contents import content
from outages.readers import Pair, Place, Reader, keys_in

__all__ = ["Epoch", "Record", "read_epochs"]

# A step of a training, so that eleven readers leave the cluster's nodes some of the machine.
_STEP_S = 0.01
# Waits below are those of a busy machine.
_STALL_S = 1.0


@dataclass(frozen=True)
class Epoch:
    """What came of one epoch. Times are those of `time.monotonic`.

    Attributes:
        begin: When it began.
        end: When it ended.
        missing: How many keys did not come and were not reported as skipped.
        repeated: How many came again.
        wrong: How many had another content, or are of no object.
        skipped: How many were reported as skipped.
        stalled_until: When the last long wait in it was over; 0 if there was none.
        error: What ended it early; empty if nothing did.
    """

    begin: float
    end: float
    missing: int = 0
    repeated: int = 0
    wrong: int = 0
    skipped: int = 0
    stalled_until: float = 0.0
    error: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every key came, once and right."""
        return not (self.error or self.missing or self.repeated or self.wrong or self.skipped)


def read_epochs(reader: Reader, place: Place, results: Connection, stop: Event) -> None:
    """Read epochs and send an `Epoch` for each, until `stop` is set or one ends early."""
    logging.disable(logging.ERROR)  # of an outage, which is on purpose
    # As for users on Linux, for years; else workers start as this process was started.
    multiprocessing.set_start_method("fork", force=True)
    pairs, skipped = reader.make(place, reader.workers)
    while not stop.is_set():
        epoch = Record(reader.keys, _STEP_S).read(pairs, skipped)
        results.send(epoch)
        if epoch.error:
            break
    results.close()


class Record:
    """One epoch while it runs.

    Args:
        keys: What is due in it.
        step_s: Seconds that a step of the training takes.
    """

    def __init__(self, keys: list[str], step_s: float = 0.0) -> None:
        self._due = set(keys)
        self._step_s = step_s
        self._seen: Counter[str] = Counter()
        self._wrong = 0
        self._stalled_until = 0.0

    def read(self, pairs: Iterable[Pair], skipped: Callable[[], list[str]]) -> Epoch:
        """Read the epoch."""
        begin = last = time.monotonic()
        error = ""
        try:
            for key, data in pairs:
                now = time.monotonic()
                self._take(key, data, now if now - last > _STALL_S else 0.0)
                time.sleep(self._step_s)
                last = time.monotonic()
        except Exception as failure:  # noqa: BLE001 - that is what is to be found
            error = f"{type(failure).__name__}: {_first_line(failure)}"
        return self._result(begin, error, skipped())

    def _take(self, key: str, data: bytes, stalled_until: float) -> None:
        self._seen[key] += 1
        self._wrong += key not in self._due or data != content(key)
        self._stalled_until = stalled_until or self._stalled_until

    def _result(self, begin: float, error: str, skipped: list[str]) -> Epoch:
        reported = {key for url in skipped for key in keys_in(url)}
        missing = 0 if error else len(self._due - self._seen.keys() - reported)
        repeated = sum(count - 1 for count in self._seen.values())
        stalled, end = self._stalled_until, time.monotonic()
        return Epoch(begin, end, missing, repeated, self._wrong, len(reported), stalled, error)


def _first_line(failure: Any) -> str:
    # What a worker raised comes with its traceback, and ends with the message.
    lines = str(failure).strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith("Caught ") else lines[0]
