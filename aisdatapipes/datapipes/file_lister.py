"""Listers: prefixes, or sources of the SDK, in; URLs of objects out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.datapipes.functional_names import FunctionalNames
from aisdatapipes.datapipes.source_pipe import as_pipe
from aisdatapipes.etl import ETLCall
from aisdatapipes.listing.bucket_listing import list_source_urls, list_urls
from aisdatapipes.types import ETLConfig, Source

__all__ = ["AISFileLister", "AISSourceLister"]


class AISFileLister(FunctionalNames, IterDataPipe[str]):
    """Lists the objects under URL prefixes (functional name: ``list_files_by_ais``).

    Takes the URL of a bucket or of a prefix in it, ``ais://bucket``, ``ais://bucket/`` or
    ``ais://bucket/dir/pre``, of every provider that AIStore knows (``ais``, ``s3``/``aws``,
    ``gs``/``gcp``, ``az``/``azure``, ``oci``), and of remote clusters and namespaces,
    ``ais://@uuid#namespace/bucket/``. Yields URLs of objects, in the order of their names,
    lazily: page after page of the cluster's listing.

    A prefix that no name begins with is a pattern: ``ais://coco/train-{0000..0099}.tar``, or a
    glob, ``ais://coco/train-*.tar``, whose ``*`` stops at a slash and whose ``**`` does not. Braces
    yield in their order, after all of it is listed.

    Every worker lists all of it; put ``.sharding_filter()`` behind, before the loader.

    Args:
        source_datapipe: Pipe or other iterable of URL prefixes, a plain list too.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        length: What ``len()`` answers; -1 for unknown, so that ``len()`` raises `TypeError`.
        settings: Time-outs and retries.
        allow_empty: Whether a prefix, or a name that braces stand for, may have no object: True,
            or False, which raises; None warns, with a `NoObjectsWarning`.

    Raises:
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        NoObjectsError: While iterating: there is no object, and `allow_empty` is False.
        InvalidURLError: While iterating: a prefix is no URL of a bucket.
        BucketNotFoundError: While iterating: the cluster has no such bucket.
        ClusterUnreachableError: While iterating: nothing answers at the endpoint.

    Example:
        >>> from aisdatapipes.datapipes import IterableWrapper
        >>> urls = IterableWrapper(["ais://caltech256/"]).list_files_by_ais()
        >>> next(iter(urls))
        'ais://caltech256/002.american-flag/002_0001.jpg'

    Source:
        ``AISFileListerIterDataPipe`` of torchdata 0.9 and of AIStore's former ``aisio.py``.
    """

    def __init__(
        self,
        source_datapipe: Iterable[str],
        url: str | None = None,
        length: int = -1,
        *,
        settings: Settings | None = None,
        allow_empty: bool | None = None,
    ) -> None:
        self.source_datapipe = as_pipe(source_datapipe)
        self.url = resolve_endpoint(url)
        self.length = length
        self.settings = settings or Settings()
        self.allow_empty = allow_empty

    def __iter__(self) -> Iterator[str]:
        for prefix in self.source_datapipe:
            yield from list_urls(prefix, self.url, self.settings, allow_empty=self.allow_empty)

    def __len__(self) -> int:
        if self.length < 0:
            raise TypeError(f"{type(self).__name__} has no length: give it as length=")
        return self.length


class AISSourceLister(FunctionalNames, IterDataPipe[str]):
    """Lists the objects of the SDK's sources as full URLs (functional name: ``ais_list_sources``).

    Yields ``http://host:port/v1/objects/bucket/name?provider=…``, which `AISFileLoader` reads
    as well as ``ais://`` URLs. The sources' own client asks for the listing.

    Args:
        ais_sources: Sources, or one: `Bucket`, `ObjectGroup` or `Object` of the SDK.
        prefix: Only objects whose names begin so; or a pattern, see `AISFileLister`.
        etl_name: ETL that the URLs ask the cluster to apply to every object.
        etl: The SDK's ``ETLConfig`` in its place: with arguments, or with a pipeline of ETLs.
        allow_empty: As for `AISFileLister`.

    Raises:
        ValueError: At construction: both `etl_name` and `etl` are given.
        NoObjectsError: While iterating: a source has no object, and `allow_empty` is False.
        TypeError: While iterating: a source is none of the three.
        BucketNotFoundError: While iterating: the cluster has no such bucket.

    Example:
        >>> import os
        >>> from aistore.sdk import Client
        >>> bucket = Client(os.environ["AIS_ENDPOINT"]).bucket("caltech256")
        >>> urls = AISSourceLister([bucket], prefix="003.")
        >>> next(iter(urls)).partition("/v1/")[2]
        'objects/caltech256/003.backpack/003_0001.jpg?provider=ais'

    Source:
        ``AISSourceLister`` of AIStore's former ``aisio.py``.
    """

    def __init__(
        self,
        ais_sources: Iterable[Source] | Source,
        prefix: str = "",
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        allow_empty: bool | None = None,
    ) -> None:
        self.sources = ais_sources if isinstance(ais_sources, Iterable) else [ais_sources]
        self.prefix = prefix
        self.etl_name = etl_name
        self._etl = ETLCall.of(etl_name, etl)
        self.allow_empty = allow_empty

    def __iter__(self) -> Iterator[str]:
        for source in self.sources:
            yield from list_source_urls(
                source, self.prefix, self._etl, allow_empty=self.allow_empty
            )
