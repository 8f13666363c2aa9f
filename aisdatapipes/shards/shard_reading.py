"""Shard reading: the samples of one shard, once, over a stop too.

What was given out is not read again where that is possible. In the order of the shard, the
reading resumes at the byte behind the last sample. With a shuffle buffer, it resumes behind the
last sample that was *read*, and the samples in the buffer, whose places the state says, are
fetched by their ranges. A shard that is compressed, that an ETL makes, or in whose place
`on_error` gave another, has no such places: it is read from its beginning, and as many samples
are left out as had been given. Both give the same samples in the same order.

The state keeps a fingerprint of the shard: where another one is in its place, its rest is not
read as if it were the rest of the first.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from aisdatapipes.checkpoint.state import ShardProgress
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import (
    AISPipeError,
    BadArchiveError,
    CutArchiveError,
    ObjectChangedError,
)
from aisdatapipes.manifests.manifest import ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.prefetcher import Outcome
from aisdatapipes.reading.ranges import read_ranges
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import fingerprint_of
from aisdatapipes.shards.read_shard import ContentFor, read_shard, resumable, samples_parser
from aisdatapipes.shards.shuffle_buffer import (
    BufferedSample,
    ShuffleBuffer,
    as_blocks,
    as_ranges,
    indices_in_buffer,
)
from aisdatapipes.tar import Sample

__all__ = ["ShardReading"]

_END_MARK = bytes(1024)


class ShardReading:
    """Reads one shard for one worker, and knows how much of it is done.

    Args:
        entry: The shard.
        request: How to request it; None if it could not be opened.
        settings: Have the limits of what is read.
        content_for: What happens if it fails.
        counters: Where to count members that belong to no sample, and requests.
        start: What was read of it before.
        shuffle_key: What the random order depends on; None for the order of the shard.
        buffer_size: How many samples the next one is drawn from.
    """

    def __init__(
        self,
        entry: ManifestEntry,
        request: ObjectRequest | None,
        settings: Settings,
        content_for: ContentFor,
        counters: ProcessCounters,
        start: ShardProgress,
        shuffle_key: str | None,
        buffer_size: int,
    ) -> None:
        self._entry = entry
        self._request = request
        self._content_for = content_for
        self._counters = counters
        self._start = start
        self._key = shuffle_key
        self._buffer_size = buffer_size
        self._parse = samples_parser(settings, counters)
        self._parse_range = samples_parser(settings)
        self._buffer: ShuffleBuffer | None = None
        self._given, self._read, self._offset = start.samples, start.read, start.offset
        self._fingerprint = start.fingerprint
        self._has_given = False

    def progress(self) -> ShardProgress:
        """Return how much is done."""
        if not self._has_given:
            return self._start
        offset, blocks = self._offset, as_blocks(self._buffer.buffered if self._buffer else ())
        if offset is None or blocks is None:
            offset, blocks = None, ()
        return replace(
            self._start,
            samples=self._given,
            read=self._read,
            offset=offset,
            buffered=blocks,
            fingerprint=self._fingerprint,
        )

    def samples(self, outcome: Outcome) -> Iterator[Sample]:
        """Yield the samples that are left.

        Args:
            outcome: The shard, open from the offset of its progress on, or why it is not.

        Raises:
            ObjectChangedError: It is not the shard that was begun.
            AISPipeError: It cannot be read, and is not to be skipped.
        """
        outcome = resumable(outcome, self._entry, self._start.offset, self._start.fingerprint)
        if outcome.file is not None:
            self._fingerprint = fingerprint_of(outcome.file)
        if self._key is None:
            return self._in_order(self._unread(outcome, self._start))
        if self._start.offset and outcome.file and self._request:
            return self._drawn(self._resumed(outcome, self._request, self._key))
        return self._drawn(self._from_the_beginning(outcome, self._key))

    def _unread(self, outcome: Outcome, start: ShardProgress) -> Iterator[Sample]:
        """Return the samples behind `start`, where the reading is now."""
        is_made = self._request is not None and self._request.etl
        self._read, self._offset = start.read, None if is_made else start.offset
        return read_shard(
            self._entry.url, outcome, self._parse, self._content_for, self._offset, start.read
        )

    def _in_order(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            self._given, self._read, self._offset = self._given + 1, self._read + 1, sample.end
            self._has_given = True
            yield sample

    def _drawn(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            self._given += 1
            self._has_given = True
            yield sample

    def _to_buffer(self, samples: Iterator[Sample]) -> Iterator[BufferedSample]:
        """Yield the samples that are read for the buffer, and take note of how far that is."""
        for sample in samples:
            begin, self._offset = self._offset, sample.end
            self._read += 1
            yield BufferedSample(sample, begin)

    def _from_the_beginning(self, outcome: Outcome, key: str) -> Iterator[Sample]:
        self._buffer = ShuffleBuffer(key, self._buffer_size)
        samples = self._buffer.shuffled(self._to_buffer(self._unread(outcome, ShardProgress())))
        return islice(samples, self._start.samples, None)

    def _resumed(self, outcome: Outcome, request: ObjectRequest, key: str) -> Iterator[Sample]:
        """Yield what the buffer had and what follows it."""
        try:
            buffered = list(self._fetched(request, key))
        except AISPipeError as error:
            if outcome.file is not None:
                outcome.file.close()
            was_readable = isinstance(error, (BadArchiveError, CutArchiveError))
            why = self._replaced() if was_readable else error
            return self._from_the_beginning(Outcome(outcome.item, None, why), key)
        self._buffer = ShuffleBuffer(key, self._buffer_size, self._start.samples, buffered)
        return self._buffer.shuffled(self._to_buffer(self._unread(outcome, self._start)))

    def _fetched(self, request: ObjectRequest, key: str) -> Iterator[BufferedSample]:
        """Yield the samples that the buffer had, read again by their ranges."""
        start, url = self._start, self._entry.url
        indices = indices_in_buffer(key, self._buffer_size, start.samples, start.read)
        wanted = iter(indices)
        index = next(wanted, None)
        ranges = as_ranges(start.buffered)
        contents = read_ranges(request, ranges, self._counters, self._fingerprint)
        for (begin, _), content in zip(ranges, contents, strict=True):
            # A range begins with a sample of the buffer; others may be behind it.
            at = index
            for sample in self._parse_range(io.BytesIO(content + _END_MARK), url, begin):
                if at == index:
                    yield BufferedSample(sample, begin)
                    index = next(wanted, None)
                begin, at = sample.end or 0, None if at is None else at + 1
        if index is not None:
            raise self._replaced()

    def _replaced(self) -> ObjectChangedError:
        return ObjectChangedError(
            f"{self._entry.url} has other samples than those that were read of it: it cannot be "
            "resumed in its middle; start its epoch again"
        )
