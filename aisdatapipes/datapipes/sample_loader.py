"""Samples: URLs of tar shards in, samples out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.datapipes.functional_names import FunctionalNames
from aisdatapipes.datapipes.sharding import own_share
from aisdatapipes.datapipes.source_pipe import as_pipe
from aisdatapipes.etl import ETLCall
from aisdatapipes.indexes.entry_reading import read_entries
from aisdatapipes.indexes.sample_entry import SampleEntry
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy, OnError, ReadOptions
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.read_shard import (
    SHARD_OPTIONS,
    read_shard,
    sample_dict,
    samples_parser,
)
from aisdatapipes.tar import Sample
from aisdatapipes.types import ETLConfig

__all__ = ["AISSampleLoader"]

_BY_REFERENCE = ReadOptions(max_inflight_bytes=32 * 2**20)
_MIXED = "a loader of samples takes URLs of shards or references to samples, and not both"


class AISSampleLoader(FunctionalNames, IterDataPipe[dict[str, Any]]):
    """Reads the samples of tar shards (functional name: ``load_samples_by_ais``).

    Yields one dictionary for each sample, in WebDataset's form and in the order of the shards:
    ``{"__key__": "train/0001", "__url__": "ais://imagenet/0.tar", "jpg": b"…", "cls": b"…"}``.
    Members are one sample while directory and name up to the first dot stay the same; the
    rest of the name, in lower case, is the extension. Members that belong to no sample, as
    ``README``, are left out and counted in the log, at level ``INFO``.

    Every shard is read once, forward, and a big one never held whole; a connection that breaks
    goes on where it broke. Shards may be compressed by gzip. For members in any order, or those of
    archives other than tar, chain torchdata's own pipes behind ``load_files_by_ais``.

    Put ``.shuffle()`` and ``.sharding_filter()`` before it, for whole shards, and another
    ``.shuffle()`` behind it, for samples. Or let it read single samples: in place of URLs it
    takes the references that `AISSampleLister` lists, shuffled truly, and reads some hundred of
    them by one request, of their byte ranges.

    Args:
        source_datapipe: Pipe or other iterable of the URLs of shards, a plain list too; or of
            references to samples.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        length: What ``len()`` answers; -1 for unknown, so that ``len()`` raises `TypeError`.
        etl_name: ETL that the cluster applies to every shard; it must be running there.
        etl: The SDK's ``ETLConfig`` in its place: with arguments, or with a pipeline of ETLs.
        on_error: What to do with a shard that cannot be read, or not to its end: ``"raise"``;
            ``"skip"``, what is left of it, counted and logged; or a function of URL and error
            that returns a tar to read in its place, or None to skip. Of references, each
            sample counts.
        max_errors: Most shards that one iteration in a process may skip; None for any number.
        settings: Time-outs and retries.

    Raises:
        ValueError: At construction: both `etl_name` and `etl` are given, or an option is out of
            its range.
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        TypeError: While iterating: URLs and references are mixed.
        InvalidURLError: While iterating: a URL is not that of an object.
        ObjectNotFoundError: While iterating: there is no such shard.
        BucketNotFoundError: While iterating: there is no such bucket.
        BadArchiveError: While iterating: a shard is no tar, has links, or has two members
            for one extension of a sample.
        CutArchiveError: While iterating: a shard ends before the end mark of a tar.
        ClusterUnreachableError: While iterating: nothing answers at the endpoint.

    Warns:
        UserWarning: Several workers or ranks read the same; see ``sharding_filter`` of torch.

    Example:
        >>> from aisdatapipes import AISFileLister
        >>> shards = AISFileLister(["ais://imagenet/train-"]).shuffle().sharding_filter()
        >>> samples = shards.load_samples_by_ais().shuffle(buffer_size=1000)

    Source:
        ``tarfile_to_samples`` of webdataset 1.0.2, whose dictionaries these are.
    """

    def __init__(
        self,
        source_datapipe: Iterable[str] | Iterable[SampleEntry],
        url: str | None = None,
        length: int = -1,
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.source_datapipe: IterDataPipe[Any] = as_pipe(source_datapipe)
        self.url = resolve_endpoint(url)
        self.length = length
        self.etl_name = etl_name
        self._etl = ETLCall.of(etl_name, etl)
        self.settings = settings or Settings()
        self._policy = ErrorPolicy(on_error, max_errors)
        self._reader = ObjectReader(
            self.url, options=_BY_REFERENCE, policy=self._policy, settings=self.settings
        )
        self._counters = self._reader.counters

    def __iter__(self) -> Iterator[dict[str, Any]]:
        items = iter(own_share(self))
        first = next(items, None)
        every = chain([] if first is None else [first], items)
        by_reference = isinstance(first, SampleEntry)
        yield from self._samples(every) if by_reference else self._of_shards(every)

    def _samples(self, entries: Iterable[Any]) -> Iterator[dict[str, Any]]:
        if self._etl:
            raise ValueError("an ETL's results have no places to read from: leave etl out")
        with closing(read_entries(map(_checked_entry, entries), self._reader)) as samples:
            for sample in samples:
                yield sample_dict(sample.url, Sample(sample.key, sample.files, None))

    def _of_shards(self, urls: Iterable[Any]) -> Iterator[dict[str, Any]]:
        counters = self._counters.of_this_process()
        content_for = ErrorHandler(self._policy, counters).content_for
        parse = samples_parser(self.settings, counters)
        shards = prefetch(urls, self._request_for, SHARD_OPTIONS, counters)
        with closing(shards):
            for shard in shards:
                for sample in read_shard(shard.item, shard, parse, content_for):
                    yield sample_dict(shard.item, sample)

    def __len__(self) -> int:
        if self.length < 0:
            raise TypeError(f"{type(self).__name__} has no length: give it as length=")
        return self.length

    def counters(self) -> Counters:
        """Return what this pipe has done until now, all its worker processes together.

        Objects are the shards.
        """
        return self._counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the shards that ``on_error`` left out, whole or from some sample on."""
        return self._counters.skipped_urls()

    def _request_for(self, url: str) -> ObjectRequest:
        if isinstance(url, SampleEntry):
            raise TypeError(_MIXED)
        return ObjectRequest.parse(url, self.url, self.settings, self._etl)


def _checked_entry(item: Any) -> SampleEntry:
    if not isinstance(item, SampleEntry):
        raise TypeError(_MIXED)
    return item
