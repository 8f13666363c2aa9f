"""The shards of one lane, read one after another, and where that stands."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import IO

from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.errors import AISPipeError
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.reading.ranges import read_range
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.progress import ShardProgress
from aisdatapipes.shards.samples import check_size, samples_of, unbuffered
from aisdatapipes.tar import Sample

__all__ = ["ShardLane"]


class ShardLane:
    """Reads what a cursor has left, sample by sample, and moves it on.

    Args:
        cursor: Where the iteration begins.
        manifest: What its positions are: shards.
        reader: Reads them.
        shuffle_key: Returns for a position what its random order depends on; None for the order
            of the shard.
        buffer_size: How many samples of a shard the next one is drawn from.
    """

    def __init__(
        self,
        cursor: Cursor,
        manifest: Manifest,
        reader: ObjectReader,
        shuffle_key: Callable[[int], str] | None,
        buffer_size: int,
    ) -> None:
        self._cursor = cursor
        self._manifest = manifest
        self._reader = reader
        self._shuffle_key = shuffle_key
        self._buffer_size = buffer_size
        self._tally = reader.report.tally()
        self._skips = ErrorHandler(reader.policy, self._tally)
        self._begun: dict[str, ShardProgress] = {}

    def samples(self) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield every sample with its shard."""
        positions = deque(self._cursor.left)
        urls = self._manifest.urls(positions)
        for position, url in zip(positions, urls, strict=True):
            if state := self._cursor.partial.get(str(position)):
                self._begun[url] = self._progress(position, url, state)
        shards = prefetch(urls, self._request_for, self._reader.options, self._tally)
        with closing(shards):
            for outcome in shards:
                url = outcome.item
                if (file := outcome.file_by(self._skips, url)) is None:
                    continue
                while (entry := self._manifest[position := positions.popleft()]).url != url:
                    self._finish(position)  # skipped
                for sample in self._read(position, entry, file):
                    yield entry, sample
                self._finish(position)
        for position in positions:
            self._finish(position)

    def repeated(self, positions: Iterable[int]) -> Iterator[tuple[ManifestEntry, Sample]]:
        """Yield every sample of some shards, and do not move the cursor."""
        entries = {entry.url: entry for entry in map(self._manifest.__getitem__, positions)}
        with closing(self._reader.open_all(entries, str)) as shards:
            for url, file in shards:
                if file is None:
                    continue
                with unbuffered(file) as shard:
                    yield from ((entries[url], sample) for sample in samples_of(shard, url))

    def _request_for(self, url: str) -> ObjectRequest:
        request = self._reader.request_for(url)
        begun = self._begun.get(url)
        return replace(request, begin=begun.begin) if begun and not request.etl else request

    def _progress(self, position: int, url: str, state: dict | None = None) -> ShardProgress:
        key = self._shuffle_key(position) if self._shuffle_key else None
        return ShardProgress(url, self._tally, key, self._buffer_size, state)

    def _read(self, position: int, entry: ManifestEntry, file: IO[bytes]) -> Iterator[Sample]:
        begun = self._begun.get(entry.url)
        progress = begun or self._progress(position, entry.url)
        self._cursor.partial[str(position)] = progress.state
        try:
            if begun and begun.begin:
                check_size(entry, file, begun.begin)
            with unbuffered(file) as shard:
                yield from self._left(entry.url, progress, shard)
        except AISPipeError as error:
            content = self._skips.content_for(entry.url, error)
            if content is not None:
                yield from progress.read_again(io.BytesIO(content))

    def _left(
        self, url: str, progress: ShardProgress, shard: IO[bytes] | io.RawIOBase
    ) -> Iterator[Sample]:
        request = self._request_for(url)
        if request.etl:
            return progress.read_again(shard)
        return progress.read(shard, lambda first, last: read_range(request, first, last))

    def _finish(self, position: int) -> None:
        self._cursor.consumed += 1
        self._cursor.partial.pop(str(position), None)
