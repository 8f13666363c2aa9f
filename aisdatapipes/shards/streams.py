"""Shard streams: what the SDK's `DataShard` selects, each listed once, and how they pair."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from aisdatapipes.client.settings import Settings
from aisdatapipes.distributed.shared_once import SharedOnce
from aisdatapipes.etl import ETLCall
from aisdatapipes.listing.bucket_listing import url_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.counts import count_files
from aisdatapipes.shards.pairing import Pairing
from aisdatapipes.types import DataShard, ETLConfig

__all__ = ["DataShard", "PairedStreams", "ShardStream"]


@dataclass(frozen=True)
class ShardStream:
    """The shards under a bucket and prefix, in the order of their names: plain data.

    Attributes:
        name: What messages call it.
        manifest: The shards.
        etl: What ETLs make of every shard; None for the shards as they are.
        settings: Time-outs and retries.
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


class PairedStreams:
    """Streams that are read together.

    Args:
        sources: What the SDK has for them; listed now.
        settings: Time-outs and retries.
        etl: What the cluster is to make of the shards: of all streams, or one for each.
        strict: See `Pairing`.
        is_tolerant: Whether shards that cannot be read leave the pairing of the others as it is.

    Attributes:
        streams: In the order of the tuples.

    Raises:
        ValueError: There is none, or not as many ETLs as sources.
        TypeError: A source is no `DataShard`.
        AISPipeError: A listing failed.
    """

    def __init__(
        self,
        sources: Iterable[DataShard],
        settings: Settings,
        etl: ETLConfig | Sequence[ETLConfig | None] | None = None,
        *,
        strict: bool,
        is_tolerant: bool,
    ) -> None:
        sources = list(sources)
        etls = etl if isinstance(etl, Sequence) else [etl] * len(sources)
        if len(etls) != len(sources):
            raise ValueError(f"{len(etls)} ETLs for {len(sources)} streams: give one for each")
        pairs = zip(sources, etls, strict=True)
        self.streams = [ShardStream.listed(source, settings, one) for source, one in pairs]
        if not self.streams:
            raise ValueError("no streams to read: give data_sources=[DataShard(...), ...]")
        self.strict = strict
        self._is_tolerant = is_tolerant
        self._counts = SharedOnce(f"files of {self.fingerprint}")
        self._pairing: Pairing | None = None

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of all shards, in order."""
        fingerprints = "/".join(stream.manifest.fingerprint for stream in self.streams)
        return hashlib.blake2b(fingerprints.encode(), digest_size=16).hexdigest()

    def pairing(self) -> Pairing:
        """Return which files belong together; the first call asks how many each shard has.

        Raises:
            UnequalStreamsError: The streams have not equally many files, and `strict` is on.
            AISPipeError: A shard cannot be read, and that is not tolerated, or nothing tells
                how many files it had.
        """
        if self._pairing is None:
            names = [stream.name for stream in self.streams]
            self._pairing = Pairing(self._counted(), names, strict=self.strict)
        return self._pairing

    def _counted(self) -> list[array]:
        counts = array("q", self._counts.get(self._count))
        found = []
        for stream in self.streams:
            shards = len(stream.manifest)
            found.append(counts[:shards])
            counts = counts[shards:]
        return found

    def _count(self) -> bytes:
        shards = [
            (partial(stream.request_for, shard), size)
            for stream in self.streams
            for shard, size in enumerate(stream.manifest.sizes)
        ]
        # Where a cut shard would raise nothing, it would shift all that is behind it.
        is_wary = self._is_tolerant or not self.strict
        return count_files(shards, is_tolerant=self._is_tolerant, is_wary=is_wary)
