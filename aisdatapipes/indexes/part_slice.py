"""Part slice: one worker's parts of the samples of shards, read some ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import cast

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import ShardProgress
from aisdatapipes.errors import AISPipeError
from aisdatapipes.indexes.sample_parts import SampleParts
from aisdatapipes.indexes.sample_reader import FoundSample, SampleReader
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.manifests.manifest import ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.processes.background import in_thread
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.tar import Sample

__all__ = ["PartSlice"]

_AHEAD = 3

Order = Callable[[int, int, int], Sequence[int]]
"""Returns for a part, its number of samples and a turn of the epoch in which order they come."""

ContentFor = Callable[[str, AISPipeError], "bytes | None"]


class PartSlice:
    """Reads what a worker has left, sample by sample, and moves its progress on.

    A sample that cannot be read ends its part, unless a tar comes in its place.

    Args:
        index: Where the samples are.
        parts: What positions are.
        reader: Says how they are requested, and what happens to errors.
        progress: Where the worker stands.
        counters: Where to count what is skipped.
        order: In which order the samples of a part come; None for that of the shard.
    """

    def __init__(
        self,
        index: ShardIndex,
        parts: SampleParts,
        reader: ObjectReader,
        progress: Progress,
        counters: ProcessCounters,
        order: Order | None = None,
    ) -> None:
        self._index, self._parts, self._order = index, parts, order
        self._progress = progress
        self._samples = SampleReader(index, reader)
        self._handler = ErrorHandler(reader.policy, counters)
        self._replacement = reader.policy.replacement

    def samples(self) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield every sample that is left, with its shard.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
        """
        with closing(self._read_ahead(self._progress.left())) as parts:
            for part, results in parts:
                reading = _PartReading(self._start(part))
                self._progress.begin(part, reading)
                order = self._order_of(part, reading.start.turn)[reading.start.samples :]
                for number, found in self._found(part, order, results, self._handler.content_for):
                    reading.given = reading.start.samples + number
                    yield self._with_shard(part, found)
                self._progress.finish(part)

    def padding(self, positions: Iterable[int]) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield the samples of some parts as padding: nothing counts as done, or as skipped."""
        with closing(self._read_ahead(positions)) as parts:
            for part, results in parts:
                order = self._order_of(part, 0)
                for _, found in self._found(part, order, results, self._replacement):
                    yield self._with_shard(part, found)

    def _found(
        self,
        part: int,
        order: Sequence[int],
        results: list[FoundSample | AISPipeError],
        content_for: ContentFor,
    ) -> Iterator[tuple[int, FoundSample]]:
        """Yield samples of a part in an order, each with how many of it are done then."""
        first = self._parts.samples(part).start
        content: bytes | None = None
        for number, place in enumerate(order, 1):
            found = results[place]
            if isinstance(found, AISPipeError):
                if content is None:
                    content = content_for(self._index.url_of(self._index.shard_of(first)), found)
                if content is None:
                    return
                found = self._samples.replacement(first + place, content)
            yield number, found

    def _read_ahead(
        self, positions: Iterable[int]
    ) -> Generator[tuple[int, list[FoundSample | AISPipeError]], None, None]:
        ahead: deque[tuple[int, Future]] = deque()
        try:
            for part in positions:
                ahead.append((part, in_thread(self._samples.results, self._parts.samples(part))))
                if len(ahead) == _AHEAD:
                    part, reading = ahead.popleft()
                    yield part, reading.result()
            while ahead:
                part, reading = ahead.popleft()
                yield part, reading.result()
        finally:
            for _, reading in ahead:
                reading.cancel()

    def _order_of(self, part: int, turn: int) -> Sequence[int]:
        count = len(self._parts.samples(part))
        return self._order(part, count, turn) if self._order else range(count)

    def _start(self, part: int) -> ShardProgress:
        begun = cast("ShardProgress | None", self._progress.begun(part))
        return begun or ShardProgress(turn=self._progress.worker.turn)

    def _with_shard(self, part: int, found: FoundSample) -> tuple[ManifestEntry, Sample]:
        shard = self._index.shard_of(self._parts.samples(part).start)
        return self._index.manifest[shard], Sample(found.key, found.files, None)


class _PartReading:
    """How much of one part is done.

    Args:
        start: How much was before.
    """

    def __init__(self, start: ShardProgress) -> None:
        self.start = start
        self.given = start.samples

    def progress(self) -> ShardProgress:
        """Return how much is done."""
        return replace(self.start, samples=self.given, read=self.given, offset=None)
