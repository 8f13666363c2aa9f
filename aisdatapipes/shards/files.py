"""Shard files: the files of one stream of shards, read forward from any place on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import IO

from aisdatapipes.errors import AISPipeError, BadArchiveError
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.streams import size_of
from aisdatapipes.shards.openings import Place, ShardOpenings
from aisdatapipes.shards.samples import check_size, unbuffered
from aisdatapipes.shards.streams import ShardStream
from aisdatapipes.tar import TarReader
from aisdatapipes.tar.reader import File

__all__ = ["ShardFiles", "ShardSkippedError"]


class ShardSkippedError(Exception):
    """A shard cannot be read, and ``on_error`` says to go on without it."""


class ShardFiles:
    """Reads the files of a stream forward, shard by shard.

    Args:
        stream: What to read.
        skips: Decides on shards that cannot be read.
        tally: Where to count; objects are the shards.

    Attributes:
        counts: How many files each shard must have; None if that is unknown.
    """

    def __init__(self, stream: ShardStream, skips: ErrorHandler, tally: ProcessCounters) -> None:
        self.counts: Sequence[int] | None = None
        self._stream = stream
        self._skips = skips
        self._tally = tally
        self._openings = ShardOpenings(stream, tally)
        self._last = -1
        self._target: Place | None = None  # until the shard there is entered
        self._shard, self._number, self._at = Place(-1)
        self._file: IO[bytes] | io.RawIOBase | None = None
        self._files: Iterator[File] = iter(())
        self._is_replaced = False
        self._broken: dict[int, int] = {}  # shards, to how many of their files can be read

    @property
    def place(self) -> Place:
        """Where the next file is; where a shard has ended, behind its last one."""
        return self._target or Place(self._shard, self._number, self._at)

    def go_to(
        self, shards: Sequence[int], place: Place | None = None, following: int | None = None
    ) -> None:
        """Go to a place; what is opened ahead for it stays open, and so does the shard at hand.

        Args:
            shards: Those to read now, one after another.
            place: Where in the first one to begin; default at its beginning.
            following: The shard that will be wanted after them, to be opened ahead.

        Raises:
            ShardSkippedError: The first shard is known to break before that place.
        """
        place = place or Place(shards[0])
        self._last = shards[-1]
        later = [*shards[1:], *([] if following in (None, self._last) else [following])]
        if place.number >= self._broken.get(place.shard, place.number + 1):
            raise ShardSkippedError
        is_here = self._file is not None and self._target is None
        if is_here and self._shard == place.shard and self._number <= place.number:
            self._openings.plan(map(Place, later))
            self._pass_over(place.number)
        else:
            self._target = place
            self._openings.plan([place, *map(Place, later)])

    def read(self) -> bytes | None:
        """Return the next file, or None where the last of the shards that were asked for ends.

        Raises:
            ShardSkippedError: A shard cannot be read and is to be skipped.
            AISPipeError: A shard cannot be read and is not to be skipped.
            BadArchiveError: A shard has not as many files as `counts` says.
        """
        while True:
            if self._target is None and (file := self._next_file()) is not None:
                self._pass(file)
                return file[1]
            if not self._enter_next():
                return None

    def check_end(self) -> None:
        """Make sure that a shard whose files have all come has ended.

        Raises:
            AISPipeError: It goes on.
        """
        if self.counts and self._file and self._number == self.counts[self._shard]:
            self._next_file()

    def close(self) -> None:
        """Close what is open; `place` stays as it is, and `go_to` opens anew."""
        self._openings.plan([])
        self._leave()

    def _enter_next(self) -> bool:
        if self._target is None and self._shard == self._last:
            return False
        self._leave()
        target, self._target = self._target, None
        try:
            place, opened = self._openings.next()
            self._shard, self._number, self._at = place
            self._take(place, opened)
        except AISPipeError as error:
            self._recover(error)
        if target:
            self._pass_over(target.number)
        return True

    def _take(self, place: Place, opened: Future) -> None:
        file = opened.result()
        self._tally.add_object(size_of(file), 0, 0)  # its time is that of the tuples
        self._openings.go_on()
        entry = self._stream.manifest[place.shard]
        self._file = file
        if place.at:
            check_size(entry, file, place.at)
        self._file = unbuffered(file)
        self._files = TarReader(self._file, entry.url, place.at or 0).files()

    def _leave(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._files, self._is_replaced = None, iter(()), False

    def _pass(self, file: File) -> None:
        self._number += 1
        self._at = None if self._is_replaced else file[2]

    def _pass_over(self, number: int) -> None:
        """Read on until so many files of the shard are behind."""
        while self._number < number:
            file = self._next_file()
            if file is None:
                raise self._miscounted(number)
            self._pass(file)

    def _next_file(self) -> File | None:
        try:
            file = next(self._files, None)
            counts = self.counts
            if counts and (file is None) != (self._number == counts[self._shard]):
                raise self._miscounted(counts[self._shard])
        except AISPipeError as error:
            self._recover(error)
            return self._next_file()
        return file

    def _recover(self, error: AISPipeError) -> None:
        """Go on with content that ``on_error`` has in place of the shard's, or without it."""
        if self._is_replaced:
            raise error
        is_news = self._shard not in self._broken
        url = self._stream.url(self._shard)
        content = self._skips.content_for(url, error) if is_news else None
        number = self._number
        self._leave()
        if content is None:
            self._broken.setdefault(self._shard, number)
            raise ShardSkippedError
        self._file, self._number, self._is_replaced = io.BytesIO(content), 0, True
        self._files = TarReader(self._file, f"what on_error gave for {url}").files()
        self._pass_over(number)

    def _miscounted(self, expected: int) -> BadArchiveError:
        relation = "fewer" if self._number < expected else "more"
        return BadArchiveError(
            f"{self._stream.url(self._shard)} has {relation} than the {expected} files that the "
            "cluster had listed in it, so they cannot be paired: start anew if it was replaced"
        )
