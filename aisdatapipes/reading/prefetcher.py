"""The prefetcher: many objects, in order, ahead of the consumer, within a memory budget.

Small objects are read by GetBatch, the next batch requested while this one is consumed; what
GetBatch does not serve is read by concurrent GETs; big objects are opened ahead and streamed.
The sizes that come by decide which. No thread holds the bytes of a batch: the consumer reads
them off the connection itself, so a consumer that stalls stalls the cluster.

Every item has exactly one outcome, an open file or an error. What an error means is decided by
whoever iterates.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Generic, TypeVar, cast

from aisdatapipes.client.patience import had_trouble
from aisdatapipes.errors import RETRYABLE, AISPipeError, ClusterError, ObjectNotFoundError
from aisdatapipes.metrics.counters import ProcessCounters, counting, increment
from aisdatapipes.processes.background import close_result, in_thread, pause
from aisdatapipes.reading.batches import BatchStream
from aisdatapipes.reading.options import ErrorHandler, ReadOptions
from aisdatapipes.reading.queue import BadEntry, Entry, RequestQueue, SizeEstimate
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object, size_of

__all__ = ["Outcome", "Stopwatch", "prefetch"]

T = TypeVar("T")

# Of a stream that is opened ahead the connection holds some megabytes, and the cluster a file.
_STREAMS_AHEAD = 2

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of an item.

    Attributes:
        item: As it came.
        file: The object, open for reading from its beginning or from ``request.begin`` on; the
            consumer closes it. None if there is an error.
        error: Why the object cannot be opened; None if it is open.
    """

    item: T
    file: IO[bytes] | None = None
    error: AISPipeError | None = None

    def result(self) -> IO[bytes]:
        """Return the file.

        Raises:
            AISPipeError: There is none.
        """
        if self.error is not None:
            raise self.error
        return cast("IO[bytes]", self.file)

    def file_by(self, handler: ErrorHandler, url: str) -> IO[bytes] | None:
        """Return the file, or what an error policy has in its place; None if it skips.

        Args:
            handler: Decides on errors.
            url: Of the item.

        Raises:
            AISPipeError: The error, where it is not to be skipped.
        """
        return self.file if self.error is None else handler.file_for(url, self.error)


def prefetch(
    items: Iterable[T],
    request_for: Callable[[T], ObjectRequest],
    options: ReadOptions,
    counters: ProcessCounters,
    expected_bytes: float | None = None,
    stopwatch: Stopwatch | None = None,
) -> Generator[Outcome[T], None, None]:
    """Yield one outcome for every item, opened ahead of the consumer.

    In the order of the items if ``options.ordered``, else as objects arrive. Objects that are
    open are counted, with the seconds that were waited for them and for their consumer. Closing
    the iterator, or dropping it, ends all that was read ahead.

    Args:
        items: What to read, URLs or positions for example; taken as far ahead as the reading
            goes.
        request_for: Makes the request for an item. An `AISPipeError` that it raises is the
            item's outcome.
        options: How far and how much.
        counters: Where to count.
        expected_bytes: What an object may have, if that is known; else the first requests are
            small, to find out.
        stopwatch: That of the consumer, if it reads several of these iterators in turn.

    Raises:
        MemoryError: There is no room for what is read; it is no outcome of an item.
    """
    sizes = SizeEstimate(options, expected_bytes)
    prefetcher = _Prefetcher(RequestQueue(items, request_for), options, counters, sizes)
    lap = (stopwatch or Stopwatch()).lap
    cluster_s, consumer_s = 0.0, lap()
    try:
        for outcome in prefetcher.outcomes():
            cluster_s += lap()
            if outcome.file is not None:
                counters.add_object(size_of(outcome.file), cluster_s, consumer_s)
                cluster_s = consumer_s = 0.0
            yield outcome
            consumer_s += lap()
        counters.add("consumer_s", consumer_s)
    except MemoryError as error:
        raise _no_memory(options) from error
    finally:
        prefetcher.close()


def _no_memory(options: ReadOptions) -> MemoryError:
    return MemoryError(
        f"no memory to read on: up to {options.max_inflight_bytes:,} bytes are asked for ahead "
        "of their use, in every process that reads: give a smaller max_inflight_bytes, "
        "Settings(whole_object_bytes=...) for big objects, smaller batches or fewer workers"
    )


class Stopwatch:
    """Divides the time of one consumer into laps, of which each is counted once."""

    def __init__(self) -> None:
        self._last: float | None = None

    def lap(self) -> float:
        """Return the seconds since the last call; 0 at the first one."""
        last, self._last = self._last, time.perf_counter()
        return 0.0 if last is None else self._last - last


@dataclass(frozen=True)
class _Fetch(Generic[T]):
    """Entries that are opened at once: a batch, or a single one."""

    entries: list[Entry[T]] | BadEntry[T]
    opened: Future
    estimated_bytes: float


class _Prefetcher(Generic[T]):
    """One iteration over the objects: what is queued, what is open, what comes next."""

    def __init__(
        self,
        queue: RequestQueue[T],
        options: ReadOptions,
        counters: ProcessCounters,
        sizes: SizeEstimate,
    ) -> None:
        self._queue = queue
        self._options = options
        self._counters = counters
        self._sizes = sizes
        self._can_batch = True
        self._are_singles = False  # what was fetched last, so what comes next will be too
        self._fetches: deque[_Fetch[T]] = deque()
        self._consumed_bytes = 0.0  # estimate for the fetch that is being consumed

    def outcomes(self) -> Iterator[Outcome[T]]:
        """Yield what comes of every item."""
        while fetch := self._next_fetch():
            if isinstance(fetch.entries, list) and len(fetch.entries) > 1:
                yield from self._read_batch(fetch.entries, fetch.opened)
            else:
                yield self._read_single(fetch.entries, fetch.opened)
        self._queue.raise_its_error()

    def close(self) -> None:
        """Give up what is open or being opened."""
        for fetch in self._fetches:
            fetch.opened.cancel()
            fetch.opened.add_done_callback(close_result)
        self._fetches.clear()

    def _next_fetch(self) -> _Fetch[T] | None:
        self._consumed_bytes = 0.0
        self._fetch_ahead()
        if not self._fetches:
            return None
        fetch = self._fetches[0]
        if not self._options.ordered:
            wait([fetch.opened for fetch in self._fetches], return_when=FIRST_COMPLETED)
            fetch = next(fetch for fetch in self._fetches if fetch.opened.done())
        self._fetches.remove(fetch)
        self._consumed_bytes = fetch.estimated_bytes
        return fetch

    def _fetch_ahead(self) -> None:
        """Open what is next in the queue while there is room for it."""
        while self._has_room():
            entries = self._queue.take(self._batch_size())
            if entries is None:
                return
            objects = len(entries) if isinstance(entries, list) else 0
            self._are_singles = isinstance(entries, list) and not entries[0].joins_batches
            estimate = self._sizes.expected(objects)
            self._fetches.append(_Fetch(entries, self._open(entries), estimate))

    def _has_room(self) -> bool:
        in_flight = self._consumed_bytes + sum(fetch.estimated_bytes for fetch in self._fetches)
        if not in_flight and not self._fetches:
            return True
        most = self._batch_size()
        is_full = len(self._fetches) >= self._most_ahead(most)
        room = self._options.max_inflight_bytes - in_flight
        return self._sizes.is_known and not is_full and self._sizes.expected(most) <= room

    def _most_ahead(self, batch_size: int) -> int:
        if batch_size > 1:
            return 1
        return _STREAMS_AHEAD if self._sizes.are_streamed else self._options.concurrency

    def _batch_size(self) -> int:
        return self._sizes.batch_size() if self._can_batch and not self._are_singles else 1

    def _open(self, entries: list[Entry[T]] | BadEntry[T]) -> Future:
        if isinstance(entries, BadEntry):
            opened: Future = Future()
            opened.set_exception(entries.error)
            return opened
        return in_thread(self._open_batch if len(entries) > 1 else self._open_single, entries)

    def _open_batch(self, entries: list[Entry[T]]) -> BatchStream:
        with counting(self._counters):
            if attempts := entries[0].attempts:
                increment("retries")
                pause(entries[0].request.settings.backoff_s(attempts))
            requests = [entry.request for entry in entries]
            return BatchStream(requests, colocation=self._options.colocation)

    def _open_single(self, entries: list[Entry[T]]) -> IO[bytes]:
        with counting(self._counters):
            return open_object(entries[0].request)

    def _read_single(self, entries: list[Entry[T]] | BadEntry[T], opened: Future) -> Outcome[T]:
        item = entries.item if isinstance(entries, BadEntry) else entries[0].item
        try:
            file: IO[bytes] = opened.result()
        except AISPipeError as error:
            return Outcome(item, error=error)
        self._sizes.saw(size_of(file))
        self._fetch_ahead()
        return Outcome(item, file)

    def _read_batch(self, entries: list[Entry[T]], opened: Future) -> Iterator[Outcome[T]]:
        try:
            stream: BatchStream = opened.result()
        except AISPipeError as error:
            self._read_one_by_one(entries, error)
            return
        try:
            yield from self._read_entries(stream, entries)
        finally:
            stream.close()

    def _read_entries(self, stream: BatchStream, entries: list[Entry[T]]) -> Iterator[Outcome[T]]:
        for position, entry in enumerate(entries):
            try:
                size = stream.next_size(entry.request)
                self._sizes.saw(size)
                if size > self._options.whole_object_bytes:
                    self._requeue([entry.by_itself(), *entries[position + 1 :]])
                    return
                content = stream.content()
            except ObjectNotFoundError:
                if entry.request.url.provider != "ais":  # GetBatch asks no cloud: docs/get_batch.md
                    self._requeue([later.by_itself() for later in entries[position:]])
                    return
                # Asked for alone, it comes after all or says what is wrong with it.
                yield self._read_single([entry], self._open([entry]))
                continue
            except RETRYABLE:
                again = entry.retried(made_progress=position > 0)
                self._requeue([again, *entries[position + 1 :]])
                return
            if not self._fetches:
                self._fetch_ahead()
            yield Outcome(entry.item, BytesIO(content))
        stream.finish()

    def _read_one_by_one(self, entries: list[Entry[T]], error: AISPipeError) -> None:
        """Read the objects of a refused batch by GETs, which tell what is wrong with each."""
        if isinstance(error, ClusterError) and not had_trouble(entries[0].request.endpoint):
            _logger.warning("reading without GetBatch from now on: %s", error)
            self._can_batch = False
        self._requeue([entry.by_itself() for entry in entries])

    def _requeue(self, entries: Sequence[Entry[T] | BadEntry[T]]) -> None:
        """Put entries back, before all that was fetched ahead after them."""
        later: list[Entry[T] | BadEntry[T]] = []
        for fetch in self._fetches:
            later += fetch.entries if isinstance(fetch.entries, list) else [fetch.entries]
        self.close()
        self._queue.put_back([*entries, *later])
