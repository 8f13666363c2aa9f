"""Building: the index of the shards of a manifest, several shards at a time.

What the cluster knows of a shard is taken where it is certain; else the shard is scanned.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Literal

from aisdatapipes.distributed.rank_sharing import share_between_ranks
from aisdatapipes.errors import UNREADABLE, ObjectNotFoundError
from aisdatapipes.indexes.cluster_index import ClusterIndex
from aisdatapipes.indexes.index_file import ENCODING, Columns, pack_index
from aisdatapipes.indexes.scanning import FoundSamples, scan_shard
from aisdatapipes.indexes.shard_samples import IndexedSample
from aisdatapipes.indexes.versions import size_of, versions_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.metrics.counters import ProcessCounters, counting
from aisdatapipes.metrics.progress_bar import with_bar
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["IndexBuilder", "UseOfCluster", "build_file"]

UseOfCluster = Literal["build", "read", "off"]
"""``"build"``: what the cluster's own index lacks is indexed there first; ``"read"``: it is used as
far as it goes; ``"off"``: it is not asked."""

_CONCURRENCY = 4
_AHEAD = 2 * _CONCURRENCY

_logger = logging.getLogger(__name__)


def build_file(
    manifest: Manifest,
    reader: ObjectReader,
    cluster_index: UseOfCluster = "build",
    *,
    show_progress: bool = False,
) -> bytes:
    """Return the file of an index of shards; of several ranks, one makes it for all.

    Args:
        manifest: The shards.
        reader: Says how they are requested, what happens to bad ones, and where it is counted.
        cluster_index: See `UseOfCluster`.
        show_progress: Show a tqdm bar.

    Raises:
        AISPipeError: A shard cannot be indexed, or the cluster cannot be asked.
    """

    def build() -> bytes:
        builder = IndexBuilder.of(manifest, reader, cluster_index)
        sizes: Iterable[int] = builder.shards()
        if show_progress:
            sizes = with_bar(sizes, int, "ShardIndex", len(manifest))
        for _ in sizes:
            pass
        return builder.pack(manifest.data)

    return share_between_ranks(f"index of {manifest.fingerprint}", build)


class IndexBuilder:
    """Finds the samples of shards, and packs them in the file of an index.

    Args:
        requests: The shards.
        handler: What happens to shards that cannot be indexed: what is before the fault counts.
        counters: Where to count requests.
        cluster_index: Whether the cluster's own index is used, see `UseOfCluster`.

    Attributes:
        scanned: How many shards were scanned, as the cluster's own index did not tell.

    Raises:
        AISPipeError: The cluster cannot be asked which versions the shards have.
    """

    def __init__(
        self,
        requests: Sequence[ObjectRequest],
        handler: ErrorHandler,
        counters: ProcessCounters,
        cluster_index: UseOfCluster = "build",
    ) -> None:
        self._requests = requests
        self._handler = handler
        self._counters = counters
        self._versions = versions_of(requests)
        asked = () if cluster_index == "off" else requests
        self._cluster = ClusterIndex(asked, builds=cluster_index == "build")
        self._columns = Columns()
        self._keys = bytearray()
        self._kinds: dict[tuple[str, ...], int] = {}
        self.scanned = 0

    @classmethod
    def of(
        cls, manifest: Manifest, reader: ObjectReader, cluster_index: UseOfCluster = "build"
    ) -> IndexBuilder:
        """Return one for the shards of a manifest, see `build_file`."""
        requests = list(map(reader.request_for, manifest.urls()))
        counters = reader.counters.of_this_process()
        handler = ErrorHandler(reader.policy, counters)
        return cls(requests, handler, counters, cluster_index)

    def shards(self) -> Iterator[int]:
        """Yield the bytes of each shard, in order, when its samples are found.

        Raises:
            AISPipeError: One cannot be indexed, and is not to be skipped.
        """
        waiting: deque[tuple[int, Future]] = deque()
        with BackgroundPool(_CONCURRENCY) as pool:
            for number in range(len(self._requests)):
                waiting.append((number, pool.submit(self._find, number)))
                if len(waiting) > _AHEAD:
                    yield self._take(*waiting.popleft())
            while waiting:
                yield self._take(*waiting.popleft())

    def pack(self, manifest: bytes | memoryview) -> bytes:
        """Return the file of the index.

        Args:
            manifest: The file of the shards' manifest.
        """
        total = len(self._requests)
        known, samples = total - self.scanned, len(self._columns.begins)
        _logger.info(
            "indexed %d samples of %d shards, %d of them by the cluster's own index",
            samples,
            total,
            known,
        )
        return pack_index(self._columns, list(self._kinds), self._versions, self._keys, manifest)

    def _find(self, number: int) -> FoundSamples:
        request, version = self._requests[number], self._versions[number]
        if not version:
            return FoundSamples([], ObjectNotFoundError(f"no object {request.label}"))
        with counting(self._counters):
            known = self._cluster.samples(request, version)
            if known is not None:
                return FoundSamples(known)
            self.scanned += 1
            return scan_shard(request, version)

    def _take(self, number: int, finding: Future) -> int:
        found: FoundSamples = finding.result()
        request, version = self._requests[number], self._versions[number]
        if found.error is not None:
            if not isinstance(found.error, UNREADABLE):
                raise found.error
            self._handler.content_for(f"{request.url.bucket_url}/{request.url.name}", found.error)
        if found.dropped:
            self._counters.add("dropped", found.dropped)
            _logger.info("%s: %d members belong to no sample", request.label, found.dropped)
        for sample in found.samples:
            self._add(sample)
        self._columns.firsts.append(len(self._columns.begins))
        return size_of(version)

    def _add(self, sample: IndexedSample) -> None:
        columns = self._columns
        for begin, end in sample.parts:
            columns.part_samples.append(len(columns.begins))
            columns.part_begins.append(begin)
            columns.part_ends.append(end)
        columns.begins.append(sample.begin)
        columns.ends.append(sample.end)
        self._keys += sample.key.encode(*ENCODING)
        columns.key_ends.append(len(self._keys))
        columns.kinds.append(self._kinds.setdefault(sample.extensions, len(self._kinds)))
