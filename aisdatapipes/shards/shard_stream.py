"""Shard streams: what the SDK's `DataShard` selects, listed, and their files read forward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO

from aisdatapipes.checkpoint.state import ShardOffset
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import UNREADABLE, AISPipeError
from aisdatapipes.etl import ETLCall
from aisdatapipes.listing.bucket_listing import url_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.prefetcher import Stopwatch, prefetch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.read_shard import (
    SHARD_OPTIONS,
    ContentFor,
    files_parser,
    read_shard,
    resumable,
)
from aisdatapipes.types import DataShard, ETLConfig

__all__ = ["ShardStream", "StreamFiles"]


@dataclass(frozen=True)
class ShardStream:
    """The shards under a bucket and prefix, in the order of their names: plain data.

    Attributes:
        name: What messages call it.
        manifest: The shards.
        etl: What ETLs make of every shard; None for the shards as they are.
        settings: Time-outs, retries and limits.
    """

    name: str
    manifest: Manifest
    etl: ETLCall | None
    settings: Settings

    @classmethod
    def listed(
        cls, source: DataShard, settings: Settings, etl: ETLConfig | None = None
    ) -> ShardStream:
        """List the shards; the source's own client asks.

        Raises:
            TypeError: `source` is no `DataShard`, or `etl` no ``ETLConfig``.
            ValueError: `source` has an ETL of its own, beside `etl`.
            BucketNotFoundError: The cluster has no such bucket.
            ClusterUnreachableError: Nothing answers at its endpoint.
        """
        if not isinstance(source, DataShard):
            raise TypeError(
                f"a stream is a DataShard of the AIStore SDK, not a {type(source).__name__}"
            )
        call = ETLCall.of(source.etl_name, etl)
        bucket, prefix = source.bucket, source.prefix or ""
        manifest = Manifest.build(ais_source_list=bucket, prefix_map={bucket: prefix})
        name = f"{url_of(bucket, '').bucket_url}/{prefix} at {manifest.endpoint}"
        return cls(name, manifest, call, settings)

    def url(self, shard: int) -> str:
        """Return the URL of a shard, by its number."""
        return self.manifest[shard].url

    def request_for(self, shard: int) -> ObjectRequest:
        """Return what it takes to ask for a shard.

        Raises:
            InvalidURLError: No object can be read by its name.
        """
        endpoint = self.manifest.endpoint
        return ObjectRequest.parse(self.url(shard), endpoint, self.settings, self.etl)


class StreamFiles:
    """Reads the files of some shards of a stream forward; the next shard is opened ahead.

    Args:
        stream: What the shards are of.
        shards: Their numbers, in the order in which they are read.
        starts: Where to begin in some of them.
        content_for: What happens to a shard that cannot be read.
        counters: Where to count; objects are the shards.
        stopwatch: That of whoever reads several streams.

    Attributes:
        offset: Where the next file is; where a shard has ended, behind its last one.
        is_skipped: Whether the shard at hand has failed, and the rest of it is skipped.
        unpaired: How many files were read since whoever pairs them has set it to 0.
    """

    def __init__(
        self,
        stream: ShardStream,
        shards: Sequence[int],
        starts: Mapping[int, ShardOffset],
        content_for: ContentFor,
        counters: ProcessCounters,
        stopwatch: Stopwatch,
    ) -> None:
        self._stream = stream
        self._starts = starts
        self._content_for = content_for
        self._outcomes = prefetch(
            shards, self._request, SHARD_OPTIONS, counters, stopwatch=stopwatch
        )
        self._files: Iterator[tuple[str, bytes, int | None]] = iter(())
        self._untouched: IO[bytes] | None = None  # a shard that was opened and not read yet
        self.offset = self._start(shards[0]) if shards else ShardOffset(0)
        self.is_skipped = False
        self.unpaired = 0

    def next_shard(self) -> bool:
        """Go to the next shard, whatever is left of the one at hand; False if there is none."""
        self._leave()
        outcome = next(self._outcomes, None)
        if outcome is None:
            return False
        entry = self._stream.manifest[outcome.item]
        start = self.offset = self._start(outcome.item)
        self.is_skipped = False
        outcome = resumable(outcome, entry, start.offset)
        self._untouched = outcome.file
        self._files = read_shard(
            entry.url,
            outcome,
            files_parser(self._stream.settings),
            self._content_or_skip,
            None if self._stream.etl else start.offset,
            start.files,
        )
        return True

    def next_file(self) -> bytes | None:
        """Return the next file of the shard at hand, None where that ends.

        Raises:
            AISPipeError: The shard cannot be read, and is not to be skipped.
        """
        self._untouched = None
        found = next(self._files, None)
        if found is None:
            return None
        _, content, end = found
        self.offset = ShardOffset(self.offset.shard, self.offset.files + 1, end)
        self.unpaired += 1
        return content

    def read_rest(self) -> None:
        """Read the shard at hand as far as it can be read."""
        with suppress(*UNREADABLE):
            while self.next_file() is not None:
                pass

    def skip_rest(self) -> None:
        """Leave out the rest of the shard at hand, and what was read of it and not paired."""
        self._leave()
        self.unpaired = 0

    def close(self) -> None:
        """Close what is open, and what was opened ahead."""
        self._leave()
        self._outcomes.close()

    def _leave(self) -> None:
        self._files = iter(())
        if self._untouched is not None:
            self._untouched.close()
            self._untouched = None

    def _start(self, shard: int) -> ShardOffset:
        return self._starts.get(shard) or ShardOffset(shard)

    def _request(self, shard: int) -> ObjectRequest:
        request = self._stream.request_for(shard)
        begin = self._start(shard).offset
        return replace(request, begin=begin) if begin and not request.etl else request

    def _content_or_skip(self, url: str, error: AISPipeError) -> bytes | None:
        content = self._content_for(url, error)
        self.is_skipped = content is None
        return content
