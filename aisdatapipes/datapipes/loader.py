"""Loader: URLs of objects in, open files out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import cast

from torch.utils.data import IterDataPipe
from torch.utils.data.datapipes.utils.common import StreamWrapper

from aisdatapipes.client import resolve_endpoint
from aisdatapipes.datapipes.sources import check_source
from aisdatapipes.fetching import ObjectRequest
from aisdatapipes.settings import Settings
from aisdatapipes.streams import open_object

__all__ = ["AISFileLoader"]


class AISFileLoader(IterDataPipe[tuple[str, StreamWrapper]]):
    """Opens objects for reading (functional name: ``load_files_by_ais``).

    Yields ``(url, stream)`` for every URL, in the same order. The stream is a seekable binary
    file: objects up to ``settings.whole_object_bytes`` are in memory when they are yielded,
    larger ones are streamed, so that a tar shard of many gigabytes never is. Chain
    ``.load_from_tar()`` behind to read the members of tar shards.

    Args:
        source_datapipe: Pipe or other iterable of object URLs, a plain list too:
            ``provider://bucket/name``, or full URLs from `AISSourceLister`.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        length: What ``len()`` answers; -1 for the length of `source_datapipe`.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        settings: Time-outs, retries and the memory for each stream.

    Raises:
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        InvalidURLError: While iterating: a URL is not that of an object.
        ObjectNotFoundError: While iterating: there is no such object.
        BucketNotFoundError: While iterating: there is no such bucket.
        ClusterUnreachableError: While iterating: nothing answers at the endpoint.

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
        settings: Settings | None = None,
    ) -> None:
        self.source_datapipe = check_source(source_datapipe)
        self.url = resolve_endpoint(url)
        self.length = length
        self.etl_name = etl_name
        self.settings = settings or Settings()

    def __iter__(self) -> Iterator[tuple[str, StreamWrapper]]:
        for url in self.source_datapipe:
            request = ObjectRequest.parse(url, self.url, self.settings, self.etl_name)
            yield url, StreamWrapper(open_object(request), name=url)

    def __len__(self) -> int:
        if self.length >= 0:
            return self.length
        return len(cast("Sized", self.source_datapipe))
