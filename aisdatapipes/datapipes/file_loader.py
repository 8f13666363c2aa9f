"""Loader: URLs of objects in, open files out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import closing
from typing import TYPE_CHECKING, cast

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.datapipes.byte_stream import ByteStream
from aisdatapipes.datapipes.functional_names import FunctionalNames
from aisdatapipes.datapipes.sharding import own_share
from aisdatapipes.datapipes.source_pipe import as_pipe
from aisdatapipes.etl import ETLCall
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, ReadKeywords, ReadOptions
from aisdatapipes.types import ETLConfig

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISFileLoader"]


class LoadKeywords(ReadKeywords, total=False):
    """What the loader takes beside what its signature names."""

    ordered: bool


class AISFileLoader(FunctionalNames, IterDataPipe[tuple[str, ByteStream]]):
    """Opens objects for reading (functional name: ``load_files_by_ais``).

    Yields ``(url, stream)`` for every URL, in the same order. The stream, torch's `StreamWrapper`,
    is a seekable binary file: objects up to ``settings.whole_object_bytes`` (or
    `max_inflight_bytes` divided by `concurrency`, if that is less) are in memory when they are
    yielded, larger ones are streamed, so that a tar shard of many gigabytes never is. Chain
    ``.load_from_tar()`` behind to read the members of tar shards.

    Small objects are read many at a time and ahead of the consumer; nothing has to be set for
    small files, for shards or for a mix of them. Every object is checked by name and length.

    Args:
        source_datapipe: Pipe or other iterable of object URLs, a plain list too:
            ``provider://bucket/name``, or full URLs from `AISSourceLister`.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        length: What ``len()`` answers; -1 for the length of `source_datapipe`.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        etl: The SDK's ``ETLConfig`` in its place: with arguments, or with a pipeline of ETLs.
        max_inflight_bytes: Upper bound of the bytes that are requested and not consumed yet, as
            far as the sizes that came by tell; small objects are read ahead up to it.
        max_batch: Most objects in one GetBatch request; 1 reads every object by its own GET.
        concurrency: Most GETs at a time, where GetBatch does not apply.
        ordered: Yield in the order of the URLs; otherwise as objects arrive.
        on_error: ``"raise"``, ``"skip"``, or a function of URL and error that returns content to
            yield instead, or None to skip. A cluster that cannot be reached or refuses the token
            raises in any case, and so does a big object that breaks while it is being read.
        max_errors: Most objects to skip in one iteration of a process; None for any number.
        verify: ``"checksum"`` compares every object with the cluster's checksum when it has been
            read from beginning to end. It costs the batches: every object is its own GET.
        read: `ReadOptions`, in place of its fields one by one.
        settings: Time-outs, retries and the memory for each stream.

    Raises:
        ValueError: At construction: both `etl_name` and `etl` are given, or an option is out of
            its range.
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        InvalidURLError: While iterating: a URL is not that of an object.
        ObjectNotFoundError: While iterating: there is no such object.
        ETLNotFoundError: While iterating: no ETL of that name runs.
        ETLFailedError: While iterating: the ETL could make nothing of an object.
        BucketNotFoundError: While iterating: there is no such bucket.
        ClusterUnreachableError: While iterating: nothing answers at the endpoint.
        TooManyErrorsError: While iterating: more than `max_errors` objects failed.
        ChecksumError: While iterating or reading: an object is not what the cluster stored.

    Warns:
        UserWarning: Several workers or ranks read the same; see ``sharding_filter`` of torch.

    Example:
        >>> from aisdatapipes import AISFileLister
        >>> images = AISFileLister(["ais://caltech256/"]).load_files_by_ais()
        >>> url, stream = next(iter(images))
        >>> url
        'ais://caltech256/002.american-flag/002_0001.jpg'
        >>> len(stream.read()) > 0
        True

    Source:
        ``AISFileLoaderIterDataPipe`` of torchdata 0.9 and of AIStore's former ``aisio.py``;
        theirs gave streams that cannot seek, which ``load_from_tar().shuffle()`` needs.
    """

    def __init__(
        self,
        source_datapipe: Iterable[str],
        url: str | None = None,
        length: int = -1,
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        settings: Settings | None = None,
        **read: Unpack[LoadKeywords],
    ) -> None:
        refuse_unknown(type(self).__name__, read, LoadKeywords)
        self.source_datapipe = as_pipe(source_datapipe)
        self.url = resolve_endpoint(url)
        self.length = length
        self.etl_name = etl_name
        self.settings = settings or Settings()
        options = ReadOptions.of(read)
        self.verify = options.verify
        self._reader = ObjectReader(
            self.url,
            ETLCall.of(etl_name, etl),
            options=options,
            policy=ErrorPolicy.of(read),
            settings=settings,
        )

    def __iter__(self) -> Iterator[tuple[str, ByteStream]]:
        with closing(self._reader.open_all(own_share(self), str)) as objects:
            for url, file in objects:
                if file is not None:
                    yield url, ByteStream(file, name=url)

    def __len__(self) -> int:
        if self.length >= 0:
            return self.length
        return len(cast("Sized", self.source_datapipe))

    def counters(self) -> Counters:
        """Return what this pipe has done until now, all its worker processes together.

        Example:
            >>> pipe = AISFileLoader(["ais://caltech256/002.american-flag/002_0001.jpg"])
            >>> for _url, _stream in pipe:
            ...     pass
            >>> pipe.counters().objects
            1
        """
        return self._reader.counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now, of all worker processes."""
        return self._reader.counters.skipped_urls()
