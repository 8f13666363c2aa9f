"""What the reading engine reads next: items off the source, and what was put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from aisdatapipes.errors import AISPipeError
from aisdatapipes.reading.batches import can_batch
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["BadItem", "Item", "RequestQueue", "SizeEstimate"]

_FIRST_BATCH = 8
# How fast batches grow: their sizes are guessed from so few objects.
_GROWTH = 8


@dataclass(frozen=True)
class Item:
    """An object to read.

    Attributes:
        url: As it came.
        request: How to ask for it.
        attempts: Batches in a row that broke right before it.
        is_alone: Whether to read it by its own GET.
    """

    url: str
    request: ObjectRequest
    attempts: int = 0
    is_alone: bool = False

    @property
    def joins_batches(self) -> bool:
        """Whether it can be one of several in a GetBatch request."""
        return not self.is_alone and can_batch(self.request)

    def by_itself(self) -> Item:
        """Return the same item, to be read by its own GET."""
        return replace(self, attempts=0, is_alone=True)

    def tried_again(self, *, made_progress: bool) -> Item:
        """Return the item for another batch, or by itself when too many broke before it."""
        attempts = 1 if made_progress else self.attempts + 1
        if attempts > self.request.settings.max_retries:
            return self.by_itself()
        return replace(self, attempts=attempts)


@dataclass(frozen=True)
class BadItem:
    """A URL that cannot be asked for, and why."""

    url: str
    error: AISPipeError


class RequestQueue:
    """The objects to read: those that were put back, then those of the source.

    An error of the source is kept until all that came before it is read.

    Args:
        urls: What to read.
        parse: Makes the request for a URL.
    """

    def __init__(self, urls: Iterable[str], parse: Callable[[str], ObjectRequest]) -> None:
        self._urls = iter(urls)
        self._parse = parse
        self._front: deque[Item | BadItem] = deque()
        self._error: Exception | None = None

    def take(self, most: int) -> list[Item] | BadItem | None:
        """Take what is next: up to `most` items that can be one batch, or a single one.

        Returns:
            None when there is nothing left.
        """
        batch: list[Item] = []
        while len(batch) < most and (item := self._next()) is not None:
            if isinstance(item, Item) and _can_join(batch, item):
                batch.append(item)
                continue
            if not batch:
                return item if isinstance(item, BadItem) else [item]
            self._front.appendleft(item)
            break
        return batch or None

    def put_back(self, items: list[Item | BadItem]) -> None:
        """Make `items` the next ones."""
        self._front.extendleft(reversed(items))

    def raise_its_error(self) -> None:
        """Raise what the source raised, if it did."""
        if self._error is not None:
            raise self._error

    def _next(self) -> Item | BadItem | None:
        if self._front:
            return self._front.popleft()
        if self._error is not None:
            return None
        try:
            url = next(self._urls)
        except StopIteration:
            return None
        except Exception as error:  # noqa: BLE001 - kept, and raised when its turn comes
            self._error = error
            return None
        try:
            return Item(url, self._parse(url))
        except AISPipeError as error:
            return BadItem(url, error)


def _can_join(batch: list[Item], item: Item) -> bool:
    if not item.joins_batches:
        return False
    return not batch or item.request.endpoint == batch[0].request.endpoint


class SizeEstimate:
    """What the next objects may weigh, from those that came by: rather too much than too little.

    Args:
        options: Budget and limits.
        expected_bytes: What an object may weigh, as far as anyone knows; None for no idea.
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
