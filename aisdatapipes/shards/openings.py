"""Shard openings: the shards of a stream that are read next, one of them opened ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import IO, NamedTuple

from aisdatapipes.metrics.counters import ProcessCounters, counting
from aisdatapipes.processes.background import close_result, in_thread
from aisdatapipes.reading.streams import open_object
from aisdatapipes.shards.streams import ShardStream

__all__ = ["Place", "ShardOpenings"]


class Place(NamedTuple):
    """A place in a stream.

    Attributes:
        shard: Number of the shard.
        number: How many of its files are behind.
        at: Byte at which the next one begins; None if unknown, as in a packed shard.
    """

    shard: int
    number: int = 0
    at: int | None = 0


class ShardOpenings:
    """Opens shards in the order in which they are wanted, one ahead of the consumer.

    Args:
        stream: What the shards are of.
        tally: Where to count the requests.
    """

    def __init__(self, stream: ShardStream, tally: ProcessCounters) -> None:
        self._stream = stream
        self._tally = tally
        self._wanted: deque[Place] = deque()
        self._ahead: tuple[Place, Future[IO[bytes]]] | None = None

    def plan(self, places: Iterable[Place]) -> None:
        """Say which shards are wanted; one that is open already, and comes first, is kept.

        Args:
            places: Where to begin in each of them. One that cannot be begun there, because an
                ETL makes it or it is packed, is opened at its beginning.
        """
        self._wanted = deque(map(self._to_open, places))
        if self._ahead and self._wanted and self._ahead[0] == self._wanted[0]:
            self._wanted.popleft()
        else:
            self._drop()
        self.go_on()

    def next(self) -> tuple[Place, Future[IO[bytes]]]:
        """Return the place where the next shard is opened, and the shard when that is done."""
        self.go_on()
        assert self._ahead, "nothing is planned"  # noqa: S101 - of this package's own making
        ahead, self._ahead = self._ahead, None
        return ahead

    def go_on(self) -> None:
        """Begin to open the next shard, if none is open ahead."""
        if self._ahead is None and self._wanted:
            place = self._wanted.popleft()
            self._ahead = place, in_thread(self._open, place)

    def _to_open(self, place: Place) -> Place:
        return place if place.at and not self._stream.etl else Place(place.shard)

    def _open(self, place: Place) -> IO[bytes]:
        with counting(self._tally):
            return open_object(replace(self._stream.request_for(place.shard), begin=place.at or 0))

    def _drop(self) -> None:
        if self._ahead:
            self._ahead[1].cancel()
            self._ahead[1].add_done_callback(close_result)
            self._ahead = None
