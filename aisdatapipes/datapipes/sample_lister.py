"""The pipe that lists the samples of shards: where each is, and not what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.datapipes.functional_names import FunctionalNames
from aisdatapipes.datapipes.source_pipe import as_pipe
from aisdatapipes.distributed.shared_once import SharedOnce
from aisdatapipes.indexes.building import UseOfCluster
from aisdatapipes.indexes.sample_entry import SampleEntry
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.reading.options import OnError

__all__ = ["AISSampleLister"]


class AISSampleLister(FunctionalNames, IterDataPipe[SampleEntry]):
    """Lists the samples of tar shards (functional name: ``list_samples_by_ais``).

    Takes URL prefixes, as `AISFileLister` does, and yields a `SampleEntry` for each sample of
    their shards, in order: a reference of some hundred bytes, of which a chain can shuffle all,
    before `AISSampleLoader` reads them. Each sample is a range of its shard, so that nothing
    else is read.

    The shards are indexed when the first of its iterators begins, once for a loader and its
    workers; see `ShardIndex`. Of an index that was saved make a pipe by
    ``IterableWrapper(ShardIndex.load(path))``.

    Every worker lists all of it; put ``.sharding_filter()`` behind, before the loader.

    Args:
        source_datapipe: Pipe or other iterable of URL prefixes, a plain list too.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        length: What ``len()`` answers; -1 for unknown, so that ``len()`` raises `TypeError`.
        on_error: What to do with a shard that cannot be indexed; see `ShardIndex.build`.
        cluster_index: See `ShardIndex.build`.
        settings: Time-outs and retries.

    Raises:
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        BadArchiveError: While iterating: a shard is compressed, or no tar, or has links.
        AISPipeError: While iterating: the cluster cannot be asked.

    Example:
        >>> from aisdatapipes.datapipes import IterableWrapper
        >>> references = IterableWrapper(["ais://coco/train-"]).list_samples_by_ais()
        >>> chain = references.shuffle(buffer_size=10**6).sharding_filter().load_samples_by_ais()
        >>> for sample in chain:
        ...     print(sorted(sample))
        ['__key__', '__url__', 'cls', 'jpg']
    """

    def __init__(
        self,
        source_datapipe: Iterable[str],
        url: str | None = None,
        length: int = -1,
        *,
        on_error: OnError = "raise",
        cluster_index: UseOfCluster = "build",
        settings: Settings | None = None,
    ) -> None:
        self.source_datapipe = as_pipe(source_datapipe)
        self.url = resolve_endpoint(url)
        self.length = length
        self.settings = settings or Settings()
        self._on_error: OnError = on_error
        self._cluster_index: UseOfCluster = cluster_index
        self._indexed = SharedOnce(f"samples listed at {self.url}")

    def __iter__(self) -> Iterator[SampleEntry]:
        yield from ShardIndex(self._indexed.get(self._build), self.url)

    def __len__(self) -> int:
        if self.length < 0:
            raise TypeError(f"{type(self).__name__} has no length: give it as length=")
        return self.length

    def _build(self) -> bytes:
        index = ShardIndex.build(
            list(self.source_datapipe),
            client_url=self.url,
            settings=self.settings,
            on_error=self._on_error,
            cluster_index=self._cluster_index,
        )
        return bytes(index.data)
