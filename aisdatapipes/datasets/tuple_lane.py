"""The tuples of one lane: a file of each stream, read side by side, and where that stands."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, cast

from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.epochs.resuming import REPEATED
from aisdatapipes.errors import BadArchiveError
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy
from aisdatapipes.shards.files import ShardFiles, ShardSkippedError
from aisdatapipes.shards.openings import Place
from aisdatapipes.shards.pairing import Pairing
from aisdatapipes.shards.streams import PairedStreams

__all__ = ["TupleLane"]

_logger = logging.getLogger(__name__)

Files = tuple[bytes, ...]


class TupleLane:
    """Reads what a cursor has left, tuple by tuple, and moves it on.

    A position of the cursor is a unit: the tuples of which the first stream has the files in
    one shard. Where all that is left is one piece to the end of the streams, they are read side
    by side as they come; otherwise it has to be known how many files each shard has.

    Args:
        cursor: Where the iteration begins.
        paired: The streams.
        policy: What to do with shards that cannot be read.
        tally: Where to count; what is left out are files.
    """

    def __init__(
        self, cursor: Cursor, paired: PairedStreams, policy: ErrorPolicy, tally: ProcessCounters
    ) -> None:
        skips = ErrorHandler(policy, tally)
        self._cursor = cursor
        self._paired = paired
        self._tally = tally
        self._files = [ShardFiles(stream, skips, tally) for stream in paired.streams]
        self._sizes = [len(stream.manifest) for stream in paired.streams]
        self._done = 0  # tuples of the unit at hand
        self._is_torn = False  # whether some streams may be a file further than others

    def samples(self) -> Iterator[Files]:
        """Yield every tuple.

        Raises:
            UnequalStreamsError: The streams have not equally many files, and must have.
            AISPipeError: A shard cannot be read and is not to be skipped.
        """
        resumed = time.perf_counter()
        with closing(self):
            for found in self._tuples():
                arrived = time.perf_counter()
                self._tally.add("cluster_s", arrived - resumed)
                yield found
                resumed = time.perf_counter()
                self._tally.add("consumer_s", resumed - arrived)

    def repeated(self, positions: Iterable[int]) -> Iterator[Files]:
        """Yield every tuple of some units, and do not move the cursor."""
        pairing = self._counted_pairing()
        with closing(self):
            for unit in positions:
                self._done = 0
                with suppress(ShardSkippedError):
                    yield from self._unit(pairing, unit)

    def close(self) -> None:
        """Close all shards."""
        for files in self._files:
            files.close()

    def _tuples(self) -> Iterator[Files]:
        left = deque(self._cursor.left)
        if not all(self._sizes):
            self._end_apart(left)
        elif left and (places := self._places_to_zip(left)):
            yield from self._zipped(left, places)
        if left:
            yield from self._counted(left)

    def _places_to_zip(self, left: Sequence[int]) -> list[Place] | None:
        """Return where all streams can just be read to their ends; None if they cannot."""
        parts = {name: part for name, part in self._cursor.partial.items() if name != REPEATED}
        begin = {"places": [Place(0)] * len(self._files)} if left[0] == 0 else {"places": None}
        places = parts.pop(str(left[0]), begin)["places"]
        is_all = list(left) == list(range(left[0], self._sizes[0]))
        return [Place(*place) for place in places] if places and is_all and not parts else None

    def _zipped(self, left: deque[int], places: list[Place]) -> Iterator[Files]:
        """Read the streams side by side to their ends, or up to a shard that is skipped."""
        first, *others = self._files
        try:
            for files, place, size in zip(others, places[1:], self._sizes[1:], strict=True):
                files.go_to(range(place.shard, size), place)
            while left:
                place = places[0] if left[0] == places[0].shard else Place(left[0])
                self._begin(left[0], place.number)
                first.go_to([left[0]], place, left[1] if len(left) > 1 else None)
                while found := self._read(is_zipped=True):
                    self._done += 1
                    yield found
                self._finish(left.popleft())
            if all(files.read() is None for files in others):
                return
        except ShardSkippedError:
            self._lose(self._paired.pairing(), left[0])
            self._finish(left.popleft())
            return
        except _StreamEndedError:
            pass
        self._end_apart(left)

    def _counted(self, left: deque[int]) -> Iterator[Files]:
        """Read unit by unit, each from its place in every stream."""
        pairing = self._counted_pairing()
        if self._cursor.fields["lane"] == [0, 0] and not self._cursor.consumed:
            self._note_left_out(pairing)
        while left:
            unit = left.popleft()
            part = self._cursor.partial.get(str(unit), {"samples": 0, "places": None})
            self._begin(unit, part["samples"])
            try:
                yield from self._unit(pairing, unit, left[0] if left else None, part["places"])
            except ShardSkippedError:
                self._lose(pairing, unit)
            self._finish(unit)

    def _unit(
        self,
        pairing: Pairing,
        unit: int,
        following: int | None = None,
        places: Sequence[Any] | None = None,
    ) -> Iterator[Files]:
        """Yield the tuples of a unit that are not done."""
        numbers = pairing.unit(unit)[self._done :]
        if not numbers:
            return
        after = range(0) if following is None else pairing.unit(following)
        for stream, files in enumerate(self._files):
            place = Place(*pairing.place(stream, numbers.start))
            if places and tuple(places[stream][:2]) == place[:2]:
                place = Place(*places[stream])
            ahead = pairing.place(stream, after.start)[0] if after else None
            files.go_to(pairing.shards(stream, numbers.start, numbers.stop), place, ahead)
        for _ in numbers:
            found = self._read()
            self._done += 1
            yield found
        for files in self._files:
            files.check_end()

    def _read(self, *, is_zipped: bool = False) -> Files:
        """Return the next tuple; of zipped streams an empty one where the first has no more."""
        self._is_torn = True
        first, *others = self._files
        content = first.read()
        if content is None and is_zipped:
            return ()
        found = (content, *(files.read() for files in others))
        if None in found:
            raise _StreamEndedError
        self._is_torn = False
        return cast("Files", found)

    def _begin(self, unit: int, done: int) -> None:
        self._done, self._is_torn = done, True
        self._cursor.partial[str(unit)] = self._state

    def _state(self) -> dict[str, Any]:
        # Where a stream failed, others may have gone on; the number of tuples is right.
        places = None if self._is_torn else [list(files.place) for files in self._files]
        return {"samples": self._done, "places": places}

    def _finish(self, unit: int) -> None:
        self._cursor.consumed += 1
        self._cursor.partial.pop(str(unit), None)

    def _counted_pairing(self) -> Pairing:
        pairing = self._paired.pairing()
        for files, counts in zip(self._files, pairing.counts, strict=True):
            files.counts = counts
        return pairing

    def _lose(self, pairing: Pairing, unit: int) -> None:
        """Take note of the tuples of a unit that are left out with a shard."""
        lost = len(pairing.unit(unit)) - self._done
        if lost > 0:
            url = self._paired.streams[0].url(unit)
            _logger.warning("left out %d tuples of %s with a shard that was skipped", lost, url)
            self._tally.add("dropped", lost * len(self._files))

    def _end_apart(self, left: deque[int]) -> None:
        """End where one stream has no more, and others may have.

        Args:
            left: The units that are not finished; none of them is afterwards.

        Raises:
            UnequalStreamsError: That must not be.
        """
        pairing = self._paired.pairing()
        if self._paired.strict and pairing.total:
            raise BadArchiveError(
                f"the streams did not end at the same time, though the cluster had listed "
                f"{pairing.total} files in each: start anew if their shards were replaced"
            )
        self._note_left_out(pairing)
        while left:
            self._finish(left.popleft())

    def _note_left_out(self, pairing: Pairing) -> None:
        if pairing.left_out:
            lengths = ", ".join(map(str, pairing.lengths))
            _logger.warning("streams of %s files: stopped at the end of the shortest", lengths)
            self._tally.add("dropped", pairing.left_out)


class _StreamEndedError(Exception):
    """A stream has no more files, where the first one has."""
