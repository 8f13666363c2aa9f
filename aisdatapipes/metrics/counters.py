"""Counters of a pipe and the objects it skipped, added up over all its processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import partial

from aisdatapipes.processes.per_process import PerProcess
from aisdatapipes.processes.shared_file import SharedFile, is_child_being_started

__all__ = [
    "Counters",
    "ProcessCounters",
    "SharedCounters",
    "counting",
    "current_counters",
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
        dropped: What was left out: members that belong to no sample, files behind the end of the
            shortest stream, samples that would make ranks uneven.
        padding: Samples yielded once more, to even out the ranks.
        cluster_s: Seconds that the consumers waited for the pipe.
        consumer_s: Seconds that the pipe waited for its consumers.
        outage_s: Seconds of outages that it has waited through, each counted once in a process.
    """

    objects: int = 0
    bytes: int = 0
    requests: int = 0
    retries: int = 0
    skipped: int = 0
    dropped: int = 0
    padding: int = 0
    cluster_s: float = 0.0
    consumer_s: float = 0.0
    outage_s: float = 0.0

    def __add__(self, other: Counters) -> Counters:
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in _NAMES}
        return Counters(**{name: sum(pair) for name, pair in pairs.items()})

    @property
    def left_out(self) -> int:
        """The same as `dropped`, by its former name."""
        return self.dropped


_NAMES = [field.name for field in fields(Counters)]
_INDEX = {name: index for index, name in enumerate(_NAMES)}
_OBJECTS, _BYTES, _CLUSTER_S, _CONSUMER_S = map(
    _NAMES.index, ("objects", "bytes", "cluster_s", "consumer_s")
)
_SLOT_BYTES = 8 * len(_NAMES)
_SLOTS = 1024
_SLOTS_BYTES = _SLOTS * _SLOT_BYTES


class SharedCounters:
    """The counters of one pipe over all processes that it is used in.

    Workers that multiprocessing starts, in whatever way, count into those of their parent. Other
    copies, by `copy.deepcopy` or `pickle`, are of another pipe: they begin at zero, so that
    nothing is counted twice where the copies are added up.

    Every process adds to a slot of its own, which another one may go on with after its end. So
    a slot holds what all its processes have counted, and the sum of the slots is everything.

    Raises:
        OSError: There is no temporary folder, or no room in it.
    """

    def __init__(self) -> None:
        # Zeros that are written: where they were only promised, a full disk would be a SIGBUS.
        self._use(SharedFile(bytes(_SLOTS_BYTES)))

    def _use(self, file: SharedFile) -> None:
        self._file = file  # the slots, and after them the URLs that were skipped, as JSON lines
        self._of_process = PerProcess(partial(ProcessCounters, file))

    def of_this_process(self) -> ProcessCounters:
        """Return this process's part of the counters, made at the first call."""
        return self._of_process.get()

    def total(self) -> Counters:
        """Return the sum over all processes until now."""
        numbers = memoryview(self._file.read(_SLOTS_BYTES)).cast("d")
        sums = {name: sum(numbers[index :: len(_NAMES)]) for name, index in _INDEX.items()}
        whole = {name: int(sums[name]) for name in _NAMES if not name.endswith("_s")}
        return Counters(**{**sums, **whole})  # pyright: ignore[reportArgumentType]

    def skipped_urls(self) -> list[str]:
        """Return the URL of every object left out until now, as they came."""
        with self._file.locked():
            lines = self._file.read(offset=_SLOTS_BYTES).splitlines()
        return [json.loads(line) for line in lines]

    def __reduce__(self) -> tuple:
        return (_attached, (self._file,)) if is_child_being_started() else (SharedCounters, ())


def _attached(file: SharedFile) -> SharedCounters:
    counters = SharedCounters.__new__(SharedCounters)
    counters._use(file)
    return counters


class ProcessCounters:
    """The counters of one pipe in this process.

    Args:
        file: That of the pipe's `SharedCounters`.

    Raises:
        RuntimeError: More processes count at a time than there are slots.
    """

    def __init__(self, file: SharedFile) -> None:
        slot = file.claim(_SLOTS)
        if slot is None:
            raise RuntimeError(f"more than {_SLOTS} processes read one pipe: start fewer workers")
        start = slot * _SLOT_BYTES
        slots = file.mapped(_SLOTS_BYTES)
        self._numbers = slots[start : start + _SLOT_BYTES].cast("d")
        self._file = file
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1) -> None:
        """Add to one of the counters."""
        with self._lock:
            self._numbers[_INDEX[name]] += amount

    def add_object(self, size: int, cluster_s: float, consumer_s: float, count: int = 1) -> None:
        """Count an object: its bytes, and the seconds waited for it and for its consumer.

        Args:
            size: Its bytes, or those of several that came together.
            cluster_s: Seconds waited for it.
            consumer_s: Seconds waited for the consumer.
            count: How many there are.
        """
        with self._lock:
            numbers = self._numbers
            numbers[_OBJECTS] += count
            numbers[_BYTES] += size
            numbers[_CLUSTER_S] += cluster_s
            numbers[_CONSUMER_S] += consumer_s

    def skip(self, url: str) -> None:
        """Count an object as left out and keep its URL."""
        self._file.append(f"{json.dumps(url)}\n".encode())
        self.add("skipped")


_current: ContextVar[ProcessCounters | None] = ContextVar("counters", default=None)


@contextmanager
def counting(counters: ProcessCounters | None) -> Iterator[None]:
    """Let `increment` count into `counters` inside the block, in this thread."""
    token = _current.set(counters)
    try:
        yield
    finally:
        _current.reset(token)


def current_counters() -> ProcessCounters | None:
    """Return the counters that `increment` counts into here, if any."""
    return _current.get()


def increment(name: str, amount: float = 1) -> None:
    """Count something for whichever pipe this thread works for now; nothing without one."""
    if counters := _current.get():
        counters.add(name, amount)
