"""Counters of a pipe and the objects it skipped, added up over all its worker processes."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path

from aisdatapipes.processes.shared_folder import remove_with

__all__ = [
    "Counters",
    "ProcessCounters",
    "SharedCounters",
    "counting",
    "current_tally",
    "increment",
]


@dataclass(frozen=True)
class Counters:
    """What a pipe has done since it was made, in all processes together.

    Attributes:
        objects: Objects yielded.
        bytes: Bytes of these objects; of a streamed one its size, read or not.
        requests: Requests sent for objects, one for a whole batch.
        retries: Requests and reads that were made again after a failure.
        skipped: Objects left out by ``on_error``.
        left_out: Members of shards that belong to no sample.
        cluster_s: Seconds that the consumers waited for the pipe.
        consumer_s: Seconds that the pipe waited for its consumers.
    """

    objects: int = 0
    bytes: int = 0
    requests: int = 0
    retries: int = 0
    skipped: int = 0
    left_out: int = 0
    cluster_s: float = 0.0
    consumer_s: float = 0.0


_NAMES = [field.name for field in fields(Counters)]
_INDEX = {name: index for index, name in enumerate(_NAMES)}
_OBJECTS, _BYTES, _CLUSTER_S, _CONSUMER_S = map(
    _NAMES.index, ("objects", "bytes", "cluster_s", "consumer_s")
)
_WIDTH = 8 * len(_NAMES)


class ProcessCounters:
    """The counters of one pipe in this process, in a file that other processes can read.

    Args:
        folder: Folder of the pipe's `SharedCounters`; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / uuid.uuid4().hex
        path.write_bytes(bytes(_WIDTH))
        with path.open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), _WIDTH)).cast("d")
        self._skipped = path.with_suffix(".skipped")
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1) -> None:
        """Add to one of the counters."""
        with self._lock:
            self._numbers[_INDEX[name]] += amount

    def add_object(self, size: int, cluster_s: float, consumer_s: float) -> None:
        """Count an object: its bytes, and the seconds waited for it and for its consumer."""
        with self._lock:
            numbers = self._numbers
            numbers[_OBJECTS] += 1
            numbers[_BYTES] += size
            numbers[_CLUSTER_S] += cluster_s
            numbers[_CONSUMER_S] += consumer_s

    def skip(self, url: str) -> None:
        """Count an object as left out and keep its URL."""
        with self._lock, self._skipped.open("a") as file:
            file.write(f"{json.dumps(url)}\n")
        self.add("skipped")


class SharedCounters:
    """The counters of one pipe over all processes: a folder's name, which pickles into them.

    Copies of a pipe, the workers' among them, report into the same folder. It goes with the
    pipe that made it.
    """

    def __init__(self) -> None:
        self._folder = str(Path(tempfile.gettempdir(), f"aisdatapipes-report-{uuid.uuid4().hex}"))
        remove_with(self, self._folder)
        weakref.finalize(self, _tallies.pop, (os.getpid(), self._folder), None)

    def tally(self) -> ProcessCounters:
        """Return this process's part of the counters, made at the first call."""
        key = (os.getpid(), self._folder)
        with _tallies_lock:
            if key not in _tallies:
                _tallies[key] = ProcessCounters(Path(self._folder))
            return _tallies[key]

    def counters(self) -> Counters:
        """Return the sum over all processes until now."""
        sums = [0.0] * len(_NAMES)
        for path in self._files(""):
            numbers = memoryview(path.read_bytes()).cast("d")
            sums = [total + number for total, number in zip(sums, numbers, strict=True)]
        whole = [
            total if name.endswith("_s") else int(total)
            for name, total in zip(_NAMES, sums, strict=True)
        ]
        return Counters(*whole)  # pyright: ignore[reportArgumentType] - in the order of the fields

    def skipped_urls(self) -> list[str]:
        """Return the URL of every object left out until now, in no certain order of processes."""
        files = self._files(".skipped")
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    def _files(self, suffix: str) -> list[Path]:
        folder = Path(self._folder)
        return sorted(path for path in folder.glob("*") if path.suffix == suffix)


_tallies: dict[tuple[int, str], ProcessCounters] = {}
_tallies_lock = threading.Lock()


def _renew_lock() -> None:
    global _tallies_lock
    _tallies_lock = threading.Lock()  # the parent may have held it at the fork


os.register_at_fork(after_in_child=_renew_lock)

_current: ContextVar[ProcessCounters | None] = ContextVar("tally", default=None)


@contextmanager
def counting(tally: ProcessCounters | None) -> Iterator[None]:
    """Let `increment` count into `tally` inside the block, in this thread."""
    token = _current.set(tally)
    try:
        yield
    finally:
        _current.reset(token)


def current_tally() -> ProcessCounters | None:
    """Return the tally that `increment` counts into here, if any."""
    return _current.get()


def increment(name: str, amount: float = 1) -> None:
    """Count something for whichever pipe this thread works for now; nothing without one."""
    if tally := _current.get():
        tally.add(name, amount)
