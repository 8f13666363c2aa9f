"""Shard slice: the shards that one worker reads, one after another, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import cast

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import ShardProgress
from aisdatapipes.client.settings import Settings
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.read_shard import SHARD_OPTIONS, read_shard, samples_parser
from aisdatapipes.shards.shard_reading import ShardReading
from aisdatapipes.tar import Sample

__all__ = ["ShardSlice", "ShardSource"]


@dataclass(frozen=True)
class ShardSource:
    """The shards of a dataset, and how they are read.

    Attributes:
        manifest: The shards.
        request_for: Makes the request for a URL.
        policy: What to do with shards that cannot be read.
        settings: The limits of what is read.
    """

    manifest: Manifest
    request_for: Callable[[str], ObjectRequest]
    policy: ErrorPolicy
    settings: Settings

    def request_at(self, position: int) -> ObjectRequest:
        """Return the request for the shard at a position."""
        return self.request_for(self.manifest[position].url)


class ShardSlice:
    """Reads what a worker has left, sample by sample, and moves its progress on.

    Args:
        source: What positions are.
        progress: Where the worker stands.
        counters: Where to count; objects are the shards.
        shuffle_key_for: Returns for a position and a turn of the epoch what the order of its
            samples depends on; None for the order of the shards.
        buffer_size: How many samples of a shard the next one is drawn from.
    """

    def __init__(
        self,
        source: ShardSource,
        progress: Progress,
        counters: ProcessCounters,
        shuffle_key_for: Callable[[int, int], str] | None = None,
        buffer_size: int = 1,
    ) -> None:
        self._source = source
        self._progress = progress
        self._counters = counters
        self._shuffle_key_for = shuffle_key_for
        self._buffer_size = buffer_size
        self._handler = ErrorHandler(source.policy, counters)
        self._parse = samples_parser(source.settings)

    def samples(self) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield every sample that is left, with its shard.

        Raises:
            AISPipeError: A shard cannot be read and is not to be skipped.
        """
        positions = self._progress.left()
        with closing(prefetch(positions, self._request, SHARD_OPTIONS, self._counters)) as outcomes:
            for outcome in outcomes:
                position = outcome.item
                entry = self._source.manifest[position]
                reading = self._reading(position, entry, is_open=outcome.file is not None)
                self._progress.begin(position, reading)
                for sample in reading.samples(outcome):
                    yield entry, sample
                self._progress.finish(position)

    def padding(self, positions: Iterable[int]) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield the samples of some shards as padding: nothing counts as done, or as skipped."""
        source = self._source
        with closing(
            prefetch(positions, source.request_at, SHARD_OPTIONS, self._counters)
        ) as outcomes:
            for outcome in outcomes:
                entry = source.manifest[outcome.item]
                for sample in read_shard(
                    entry.url, outcome, self._parse, source.policy.replacement
                ):
                    yield entry, sample

    def _start(self, position: int) -> ShardProgress:
        begun = cast("ShardProgress | None", self._progress.begun(position))
        return begun or ShardProgress(turn=self._progress.worker.turn)

    def _request(self, position: int) -> ObjectRequest:
        request = self._source.request_at(position)
        begin = self._start(position).offset
        return replace(request, begin=begin) if begin and not request.etl else request

    def _reading(self, position: int, entry: ManifestEntry, *, is_open: bool) -> ShardReading:
        start = self._start(position)
        return ShardReading(
            entry,
            self._source.request_at(position) if is_open else None,
            self._source.settings,
            self._handler.content_for,
            self._counters,
            start,
            self._shuffle_key_for(position, start.turn) if self._shuffle_key_for else None,
            self._buffer_size,
        )
