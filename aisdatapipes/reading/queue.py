"""What is read next: the items of a source with their requests, and those that were put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from aisdatapipes.errors import AISPipeError
from aisdatapipes.reading.batches import can_batch
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["BadEntry", "Entry", "RequestQueue", "SizeEstimate"]

T = TypeVar("T")

_FIRST_BATCH = 8
# How fast batches grow: their sizes are guessed from so few objects.
_GROWTH = 8


@dataclass(frozen=True)
class Entry(Generic[T]):
    """An object to read.

    Attributes:
        item: As it came.
        request: What is sent to the cluster for it.
        attempts: Batches in a row that broke right before it.
        is_alone: Whether to read it by its own GET.
    """

    item: T
    request: ObjectRequest
    attempts: int = 0
    is_alone: bool = False

    @property
    def joins_batches(self) -> bool:
        """Whether it can be one of several in a GetBatch request."""
        return not self.is_alone and can_batch(self.request)

    def by_itself(self) -> Entry[T]:
        """Return the same entry, to be read by its own GET."""
        return replace(self, attempts=0, is_alone=True)

    def retried(self, *, made_progress: bool) -> Entry[T]:
        """Return the entry for another batch, or by itself when too many broke before it."""
        attempts = 1 if made_progress else self.attempts + 1
        if attempts > self.request.settings.max_retries:
            return self.by_itself()
        return replace(self, attempts=attempts)


@dataclass(frozen=True)
class BadEntry(Generic[T]):
    """An item that makes no request, and why."""

    item: T
    error: AISPipeError


class RequestQueue(Generic[T]):
    """The objects to read: those that were put back, then those of the source.

    An error of the source is kept until all that came before it is read.

    Args:
        items: What to read.
        request_for: Makes the request for an item.
    """

    def __init__(self, items: Iterable[T], request_for: Callable[[T], ObjectRequest]) -> None:
        self._items = iter(items)
        self._request_for = request_for
        self._front: deque[Entry[T] | BadEntry[T]] = deque()
        self._error: Exception | None = None

    def take(self, most: int) -> list[Entry[T]] | BadEntry[T] | None:
        """Take what is next: up to `most` entries that can be one batch, or a single one.

        Returns:
            None when there is nothing left.
        """
        batch: list[Entry[T]] = []
        while len(batch) < most and (entry := self._next()) is not None:
            if isinstance(entry, Entry) and _can_join(batch, entry):
                batch.append(entry)
                continue
            if not batch:
                return entry if isinstance(entry, BadEntry) else [entry]
            self._front.appendleft(entry)
            break
        return batch or None

    def put_back(self, entries: list[Entry[T] | BadEntry[T]]) -> None:
        """Make `entries` the next ones."""
        self._front.extendleft(reversed(entries))

    def raise_its_error(self) -> None:
        """Raise what the source raised, if it did."""
        if self._error is not None:
            raise self._error

    def _next(self) -> Entry[T] | BadEntry[T] | None:
        if self._front:
            return self._front.popleft()
        if self._error is not None:
            return None
        try:
            item = next(self._items)
        except StopIteration:
            return None
        except Exception as error:  # noqa: BLE001 - kept, and raised when its turn comes
            self._error = error
            return None
        try:
            return Entry(item, self._request_for(item))
        except AISPipeError as error:
            return BadEntry(item, error)


def _can_join(batch: list[Entry[T]], entry: Entry[T]) -> bool:
    if not entry.joins_batches:
        return False
    return not batch or entry.request.endpoint == batch[0].request.endpoint


class SizeEstimate:
    """How big the next objects may be, from those that came by: rather too big than too small.

    Args:
        options: Budget and limits.
        expected_bytes: The size of an object, as far as anyone knows; None for no idea.
    """

    def __init__(self, options: ReadOptions, expected_bytes: float | None = None) -> None:
        self._options = options
        self._bytes = expected_bytes or 0.0
        self._seen = 0 if expected_bytes is None else options.max_batch

    @property
    def is_known(self) -> bool:
        """Whether any object came by, or sizes were told."""
        return self._seen > 0

    def saw(self, size: int) -> None:
        """Take note of an object's size: a big one counts at once, and fades slowly."""
        self._seen += 1
        self._bytes = max(size, 0.95 * self._bytes + 0.05 * size)

    @property
    def are_streamed(self) -> bool:
        """Whether objects are so big that they are streamed."""
        return self._bytes > self._options.whole_object_bytes

    def expected(self, objects: int) -> float:
        """Return the bytes that so many objects may hold in memory."""
        return objects * min(self._bytes, self._options.whole_object_bytes)

    def batch_size(self) -> int:
        """Return how many objects the next batch may have; two batches fit the budget.

        The first ones are small, so that the first object comes soon.
        """
        if self.are_streamed:
            return 1
        fitting = int(self._options.max_inflight_bytes / 2 / max(self._bytes, 1))
        return max(
            1, min(self._options.max_batch, fitting, max(_FIRST_BATCH, _GROWTH * self._seen))
        )
