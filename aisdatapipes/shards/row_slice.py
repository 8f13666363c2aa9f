"""Row slice: the rows that one worker reads, tuple by tuple, and how far it is.

What its progress says is true at any moment, also where an error or an interrupt comes from: a
tuple is done when it is given, a row when its end has been checked, and the next row begins
before its shards are waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RowProgress, ShardOffset
from aisdatapipes.errors import UnequalStreamsError
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.prefetcher import Stopwatch
from aisdatapipes.shards.read_shard import ContentFor
from aisdatapipes.shards.shard_stream import StreamFiles
from aisdatapipes.shards.stream_rows import REPACK, StreamRows

__all__ = ["RowSlice"]

_logger = logging.getLogger(__name__)

Files = tuple[bytes, ...]
Offsets = tuple[ShardOffset, ...]


class RowSlice:
    """Reads the rows that a worker has left, tuple by tuple, and moves its progress on.

    Args:
        rows: The streams.
        progress: Where the worker stands; its positions are rows.
        counters: Where to count; objects are the shards, and what is dropped are files.
        is_alone: Whether this process reads all rows in their order, so that the streams may be
            packed in any way.
    """

    def __init__(
        self, rows: StreamRows, progress: Progress, counters: ProcessCounters, *, is_alone: bool
    ) -> None:
        self._rows = rows
        self._progress = progress
        self._counters = counters
        self._is_alone = is_alone
        self._handler = ErrorHandler(rows.policy, counters)
        self._given = 0  # tuples of the row at hand
        self._offsets: Offsets = ()

    def progress(self) -> RowProgress:
        """Return how much of the row at hand is done."""
        return RowProgress(self._given, self._offsets)

    def samples(self) -> Iterator[Files]:
        """Yield every tuple that is left.

        Raises:
            UnequalStreamsError: Shards of a row, or whole streams, have not equally many files.
            AISPipeError: A shard cannot be read and is not to be skipped.
        """
        left, length = self._progress.left(), self._rows.lengths[0]
        begun = [row for row in left if self._begun(row)]
        is_to_the_end = left == list(range(length - len(left), length))
        if self._is_alone and is_to_the_end and begun in ([], left[:1]):
            yield from self._side_by_side(left)
        else:
            yield from self._row_by_row(left)

    def padding(self, positions: Iterable[int]) -> Iterator[Files]:
        """Yield the tuples of some rows as padding: nothing counts as done, or as skipped."""
        rows = self._complete(positions)
        with self._open([rows] * self._width, {}, self._rows.policy.replacement) as streams:
            for row in rows:
                yield from self._row(row, streams)

    @property
    def _width(self) -> int:
        return len(self._rows.streams)

    def _complete(self, rows: Iterable[int]) -> list[int]:
        """Return those rows that have a shard of every stream."""
        return [row for row in rows if row <= self._rows.last]

    def _begun(self, row: int) -> RowProgress | None:
        return cast("RowProgress | None", self._progress.begun(row))

    def _row_by_row(self, left: list[int]) -> Iterator[Files]:
        self._rows.check_lengths()
        rows = self._complete(left)
        starts = {row: done.streams for row in rows if (done := self._begun(row))}
        for row, offsets in starts.items():
            self._check_start(row, offsets)
        with self._open([rows] * self._width, starts, self._handler.content_for) as streams:
            for row in left:
                if row <= self._rows.last:
                    self._begin(row, starts.get(row) or (ShardOffset(row),) * self._width)
                    for found in self._row(row, streams):
                        self._give(streams)
                        yield found
                    self._end_row(row, streams)
                elif row == 0:
                    self._drop_all()
                self._progress.finish(row)
            for files in streams:
                files.next_shard()  # there is none: it is the end of the last one's time
        world = self._progress.worker.world
        if not self._rows.lengths[0] and world.rank == world.worker == 0:
            self._drop_all()

    def _check_start(self, row: int, offsets: Offsets) -> None:
        if any(at.shard != row for at in offsets):
            raise UnequalStreamsError(
                f"the state is of one process, which was at {self._described(offsets)}; those are "
                f"no shards of one row: load it into one process again, or {REPACK}"
            )

    def _described(self, offsets: Offsets) -> str:
        pairs = zip(self._rows.streams, offsets, strict=True)
        return ", ".join(f"file {at.files} of {stream.url(at.shard)}" for stream, at in pairs)

    def _row(self, row: int, streams: Sequence[StreamFiles]) -> Iterator[Files]:
        """Yield the tuples of a row that are left."""
        for files in streams:
            files.next_shard()
        while True:
            found = [files.next_file() for files in streams]
            if any(files.is_skipped for files in streams):
                return
            if None in found:
                self._check_end(row, streams, found)
                return
            yield cast("Files", tuple(found))

    def _check_end(
        self, row: int, streams: Sequence[StreamFiles], found: Sequence[bytes | None]
    ) -> None:
        """Make sure that all shards of a row have ended, if they must."""
        if all(content is None for content in found) or self._rows.may_be_unequal(row):
            return
        pairs = zip(streams, found, strict=True)
        counts = [
            files.offset.files if content is None else f"{files.offset.files} or more"
            for files, content in pairs
        ]
        raise self._rows.unequal(row, counts)

    def _end_row(self, row: int, streams: Sequence[StreamFiles]) -> None:
        """Say what was left out."""
        if any(files.is_skipped for files in streams):
            _logger.warning("skipped the rest of row %d in all streams, with its shard", row)
            for files in streams:
                files.skip_rest()
        if self._rows.may_be_unequal(row):
            self._drop_rest(streams)

    def _side_by_side(self, left: list[int]) -> Iterator[Files]:
        """Read the streams to their ends, wherever their shards end."""
        lengths = self._rows.lengths
        if not left and lengths[0]:
            return
        row = left[0] if left else 0
        begun = self._begun(row)
        at = begun.streams if begun else (ShardOffset(row),) * self._width
        shards = [range(one.shard, length) for one, length in zip(at, lengths, strict=True)]
        with self._open(shards, {row: at}, self._handler.content_for) as streams:
            first, *others = streams
            for files in others:
                files.next_shard()
            for row in left:
                # Said before anything is waited for: an interrupt may come there.
                start = at[0] if row == left[0] else ShardOffset(row)
                self._begin(row, (start, *(files.offset for files in others)))
                first.next_shard()
                while (content := first.next_file()) is not None:
                    found = [content, *map(_next_in_stream, others)]
                    if None in found:
                        self._end_streams(streams, found)
                        return
                    self._give(streams)
                    yield cast("Files", tuple(found))
                if row != left[-1]:
                    self._progress.finish(row)
            first.next_shard()  # there is none: it is the end of the last one's time
            self._end_streams(streams, [None, *map(_next_in_stream, others)])

    def _end_streams(self, streams: Sequence[StreamFiles], found: Sequence[bytes | None]) -> None:
        """Make sure that all streams have ended, or drop what the longer ones have."""
        if self._rows.strict and any(content is not None for content in found):
            pairs = zip(self._rows.streams, found, strict=True)
            ended = ", ".join(stream.name for stream, content in pairs if content is None)
            raise UnequalStreamsError(
                f"the streams have not equally many files: {ended} ended before the others; repair "
                "them, or stop at the end of the shortest with strict=False"
            )
        if not self._rows.strict:
            self._drop_rest(streams)
        self._progress.finish_rest()

    def _drop_rest(self, streams: Sequence[StreamFiles]) -> None:
        """Count and log what the streams have behind the last tuple."""
        for files in streams:
            files.read_rest()
        shards = [files.offset.shard for files in streams]
        behind = self._rows.files_behind(shards, self._counters)
        self._drop(sum(files.unpaired for files in streams) + behind)

    def _drop_all(self) -> None:
        """Count and log what there is where no row is complete."""
        self._drop(self._rows.files_behind([-1] * self._width, self._counters))

    def _drop(self, dropped: int) -> None:
        if dropped:
            _logger.warning("stopped at the end of the shortest stream: dropped %d files", dropped)
            self._counters.add("dropped", dropped)

    def _begin(self, row: int, offsets: Offsets) -> None:
        begun = self._begun(row)
        self._given = begun.samples if begun else 0
        self._offsets = offsets
        self._progress.begin(row, self)

    def _give(self, streams: Sequence[StreamFiles]) -> None:
        """Take note of a tuple; where one stream fails, others may be a file further."""
        self._given += 1
        self._offsets = tuple(files.offset for files in streams)
        for files in streams:
            files.unpaired = 0

    @contextmanager
    def _open(
        self,
        shards: Sequence[Sequence[int]],
        starts: Mapping[int, Offsets],
        content_for: ContentFor,
    ) -> Iterator[list[StreamFiles]]:
        """Open some shards of every stream, one after another, and some where they were begun."""
        opened, stopwatch = [], Stopwatch()
        for number, (stream, own) in enumerate(zip(self._rows.streams, shards, strict=True)):
            begun = {offsets[number].shard: offsets[number] for offsets in starts.values()}
            opened.append(StreamFiles(stream, own, begun, content_for, self._counters, stopwatch))
        try:
            yield opened
        finally:
            for files in opened:
                files.close()


def _next_in_stream(files: StreamFiles) -> bytes | None:
    """Return the next file of a stream, of whichever shard; None where the stream ends."""
    while (content := files.next_file()) is None:
        if not files.next_shard():
            return None
    return content
