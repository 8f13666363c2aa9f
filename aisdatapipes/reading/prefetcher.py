"""The reading engine: many objects, in order, ahead of the consumer, within a memory budget.

Small objects are read by GetBatch, the next batch requested while this one is consumed; what
GetBatch does not serve is read by concurrent GETs; big objects are opened ahead and streamed.
The sizes that come by decide which. No thread holds the bytes of a batch: the consumer reads
them off the connection itself, so a consumer that stalls stalls the cluster.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from io import BytesIO
from typing import IO, cast

from aisdatapipes.errors import INTERRUPTIONS, AISPipeError, ClusterError, ObjectNotFoundError
from aisdatapipes.metrics.counters import ProcessCounters, counting, increment
from aisdatapipes.processes.background import close_result, in_thread
from aisdatapipes.reading.batches import BatchStream
from aisdatapipes.reading.options import ReadOptions, Skips
from aisdatapipes.reading.queue import BadItem, Item, RequestQueue, SizeEstimate
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object, size_of

__all__ = ["read_objects"]

# Of a stream that is opened ahead the connection holds some megabytes, and the cluster a file.
_STREAMS_AHEAD = 2

_logger = logging.getLogger(__name__)


def read_objects(
    urls: Iterable[str],
    parse: Callable[[str], ObjectRequest],
    options: ReadOptions,
    tally: ProcessCounters,
    skips: Skips | None = None,
    expected_bytes: float | None = None,
) -> Generator[tuple[str, IO[bytes]], None, None]:
    """Yield ``(url, open file)`` for every URL.

    Closing the iterator, or dropping it, ends all that was read ahead.

    Args:
        urls: What to read; asked for as far ahead as the reading goes.
        parse: Makes the request for a URL.
        options: How far and how much.
        tally: Where to count.
        skips: What decides on failures, for a caller that has failures of its own.
        expected_bytes: What an object may weigh, if that is known; else the first requests are
            small, to find out.

    Raises:
        AISPipeError: An object cannot be read and the policy does not skip it.
    """
    skips = skips or Skips(options.policy, tally)
    sizes = SizeEstimate(options, expected_bytes)
    engine = _Prefetcher(RequestQueue(urls, parse), options, tally, skips, sizes)
    try:
        resumed, consumer_s = time.perf_counter(), 0.0
        for url, file, size in engine.objects():
            arrived = time.perf_counter()
            tally.add_object(size, arrived - resumed, consumer_s)
            yield url, file
            resumed = time.perf_counter()
            consumer_s = resumed - arrived
        tally.add("consumer_s", consumer_s)
    finally:
        engine.close()


@dataclass(frozen=True)
class _Fetch:
    """Items that are opened at once: a batch, or a single one."""

    items: list[Item] | BadItem
    opened: Future
    estimated_bytes: float


class _Prefetcher:
    """One iteration over the objects: what is planned, what is open, what comes next."""

    def __init__(
        self,
        source: RequestQueue,
        options: ReadOptions,
        tally: ProcessCounters,
        skips: Skips,
        sizes: SizeEstimate,
    ) -> None:
        self._source = source
        self._options = options
        self._tally = tally
        self._skips = skips
        self._sizes = sizes
        self._can_batch = True
        self._are_singles = False  # what was planned last, so what comes next will be too
        self._pending: deque[_Fetch] = deque()
        self._consumed_bytes = 0.0  # estimate for the unit that is being consumed

    def objects(self) -> Iterator[tuple[str, IO[bytes], int]]:
        """Yield every object as URL, open file and size."""
        while unit := self._next_unit():
            is_batch = isinstance(unit.items, list) and len(unit.items) > 1
            yield from (self._read_batch if is_batch else self._read_single)(unit)
        self._source.raise_its_error()

    def close(self) -> None:
        """Give up what is open or being opened."""
        self._drop_pending()

    def _next_unit(self) -> _Fetch | None:
        self._consumed_bytes = 0.0
        self._plan()
        if not self._pending:
            return None
        unit = self._pending[0]
        if not self._options.ordered:
            wait([unit.opened for unit in self._pending], return_when=FIRST_COMPLETED)
            unit = next(unit for unit in self._pending if unit.opened.done())
        self._pending.remove(unit)
        self._consumed_bytes = unit.estimated_bytes
        return unit

    def _plan(self) -> None:
        """Open units ahead while there is room for them."""
        while self._has_room():
            items = self._source.take(self._batch_size())
            if items is None:
                return
            objects = len(items) if isinstance(items, list) else 0
            self._are_singles = isinstance(items, list) and not items[0].joins_batches
            self._pending.append(_Fetch(items, self._open(items), self._sizes.expected(objects)))

    def _has_room(self) -> bool:
        in_flight = self._consumed_bytes + sum(unit.estimated_bytes for unit in self._pending)
        if not in_flight and not self._pending:
            return True
        most = self._batch_size()
        is_full = len(self._pending) >= self._most_ahead(most)
        room = self._options.max_inflight_bytes - in_flight
        return self._sizes.is_known and not is_full and self._sizes.expected(most) <= room

    def _most_ahead(self, batch_size: int) -> int:
        if batch_size > 1:
            return 1
        return _STREAMS_AHEAD if self._sizes.are_streamed else self._options.concurrency

    def _batch_size(self) -> int:
        return self._sizes.batch_size() if self._can_batch and not self._are_singles else 1

    def _open(self, items: list[Item] | BadItem) -> Future:
        if isinstance(items, BadItem):
            opened: Future = Future()
            opened.set_exception(items.error)
            return opened
        return in_thread(self._open_batch if len(items) > 1 else self._open_single, items)

    def _open_batch(self, items: list[Item]) -> BatchStream:
        with counting(self._tally):
            if attempts := items[0].attempts:
                increment("retries")
                time.sleep(items[0].request.settings.backoff_s(attempts))
            return BatchStream([item.request for item in items])

    def _open_single(self, items: list[Item]) -> IO[bytes]:
        with counting(self._tally):
            return open_object(items[0].request)

    def _read_single(self, unit: _Fetch) -> Iterator[tuple[str, IO[bytes], int]]:
        url = unit.items.url if isinstance(unit.items, BadItem) else unit.items[0].url
        try:
            file = unit.opened.result()
        except AISPipeError as error:
            content = self._skips.content_for(url, error)
            if content is None:
                return
            file = BytesIO(content)
        size = size_of(file)
        self._sizes.saw(size)
        self._plan()
        yield url, file, size

    def _read_batch(self, unit: _Fetch) -> Iterator[tuple[str, IO[bytes], int]]:
        items = cast("list[Item]", unit.items)
        try:
            stream: BatchStream = unit.opened.result()
        except AISPipeError as error:
            self._read_one_by_one(items, error)
            return
        try:
            yield from self._read_entries(stream, items)
        finally:
            stream.close()

    def _read_entries(
        self, stream: BatchStream, items: list[Item]
    ) -> Iterator[tuple[str, IO[bytes], int]]:
        for position, item in enumerate(items):
            try:
                size = stream.next_size(item.request)
                self._sizes.saw(size)
                if size > self._options.whole_object_bytes:
                    self._requeue([item.by_itself(), *items[position + 1 :]])
                    return
                content = stream.content()
            except ObjectNotFoundError:
                if item.request.url.provider != "ais":  # GetBatch asks no cloud: docs/get_batch.md
                    self._requeue([later.by_itself() for later in items[position:]])
                    return
                # Asked for alone, it comes after all or says what is wrong with it.
                yield from self._read_single(_Fetch([item], self._open([item]), 0))
                continue
            except INTERRUPTIONS:
                again = item.tried_again(made_progress=position > 0)
                self._requeue([again, *items[position + 1 :]])
                return
            if not self._pending:
                self._plan()
            yield item.url, BytesIO(content), size
        stream.finish()

    def _read_one_by_one(self, items: list[Item], error: AISPipeError) -> None:
        """Read the objects of a refused batch by GETs, which tell what is wrong with each."""
        if isinstance(error, ClusterError):
            _logger.warning("reading without GetBatch from now on: %s", error)
            self._can_batch = False
        self._requeue([item.by_itself() for item in items])

    def _requeue(self, items: Sequence[Item | BadItem]) -> None:
        """Put items back, before all that was planned after them."""
        later: list[Item | BadItem] = []
        for unit in self._pending:
            later += unit.items if isinstance(unit.items, list) else [unit.items]
        self._drop_pending()
        self._source.put_back([*items, *later])

    def _drop_pending(self) -> None:
        for unit in self._pending:
            unit.opened.cancel()
            unit.opened.add_done_callback(close_result)
        self._pending.clear()
