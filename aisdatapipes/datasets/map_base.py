"""The base of map datasets: which objects they have, and how these are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from aisdatapipes.datasets.sources import DatasetSource, PrefixMap, Source, SourceKeywords
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.sizing import sizes_of
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.options import ReadKeywords
from aisdatapipes.types import Object

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISBaseMapDataset", "MapKeywords", "Pair"]

Pair = tuple[str, bytes]
"""Name of an object and its content."""


class MapKeywords(SourceKeywords, ReadKeywords, total=False):
    """What a map dataset takes beside what its signature names."""


class AISBaseMapDataset(Dataset[Any], ABC):
    """Base of map-style datasets: knows its objects and reads them; you say what a sample is.

    Subclass it and define ``__getitem__``, with `read` for the object at an index. If you also
    define ``__getitems__``, by `read_many`, a `DataLoader` reads a batch by one request.

    The objects are listed when the dataset is made, each of them once, in the order of
    `urls_list` and then of `ais_source_list`; worker processes use that listing. Ranks and
    shuffling are the business of the `DataLoader`'s sampler, as `DistributedSampler`.

    Args:
        ais_source_list: `Bucket`, `ObjectGroup` or `Object` of the SDK, or several.
        prefix_map: Sources, to the prefix or prefixes that the names of their objects begin
            with; None for all. A key holds for every equal source.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The objects, in place of sources and URLs.
        transform: Called with what the dataset would return, returns what it returns instead;
            for `AISMapDataset` and `AISDataset`. It has to pickle if workers are spawned.
        options: What else may be given, by name:

            - Where: ``etl``, the SDK's ``ETLConfig`` in place of `etl_name`, with arguments or
              with a pipeline of ETLs; ``client_url``, the address of the cluster, default that of
              the first source, if there is one, or ``$AIS_ENDPOINT``; ``settings``.
            - Reading: the fields of `ReadOptions`, or ``read=ReadOptions(...)``.
            - Errors: ``on_error`` says what to do with an object that cannot be read:
              ``"raise"``; ``"skip"``, so that a batch is shorter; or a function of URL and error
              that returns content to have instead, or None to skip. By a single index there is
              nothing to skip to: its error is raised. A cluster that cannot be reached or refuses
              the token raises in any case. ``max_errors`` is the most objects that one process
              may skip.

    Attributes:
        manifest: The objects.

    Raises:
        ValueError: Nothing to read is given, `prefix_map` has a key that is no source, or an
            option is out of its range.
        TypeError: A source is none of the three kinds, or an option is not known.
        EndpointError: No endpoint, or none of an HTTP server.
        BucketNotFoundError: The cluster has no such bucket.
        ClusterUnreachableError: Nothing answers at the endpoint.

    Example:
        >>> class Sizes(AISBaseMapDataset):
        ...     def __getitem__(self, index):
        ...         name, content = self.read(index)
        ...         return name, len(content)
        >>> Sizes(urls_list="ais://caltech256/003.")[0]
        ('003.backpack/003_0001.jpg', 35)

    Source:
        ``AISBaseMapDataset`` of AIStore's ``aistore.pytorch``, without its default of ``{}``.
    """

    def __init__(
        self,
        ais_source_list: Source | Iterable[Source] | None = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[Pair], Any] | None = None,
        **options: Unpack[MapKeywords],
    ) -> None:
        refuse_unknown(type(self).__name__, options, MapKeywords)
        source = DatasetSource.of(
            ais_source_list, prefix_map, etl_name, urls_list, manifest, options
        )
        self.manifest, self._reader = source.manifest, source.reader
        self.client_url = source.endpoint
        self.transform = transform

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Return the sample at an index."""

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return the samples of a batch; torch's `DataLoader` and `Subset` ask this way."""
        return [self[index] for index in indices]

    def __len__(self) -> int:
        return len(self.manifest)

    def read(self, index: int) -> Pair:
        """Return name and content of the object at an index; negative ones count from the end.

        Raises:
            IndexError: There are not so many objects.
            AISPipeError: It cannot be read, and ``on_error`` is no function that has content.
        """
        url, name, _ = self.manifest[index]
        return name, self._reader.read_one(url)

    def read_many(self, indices: Sequence[int]) -> list[Pair]:
        """Return names and contents at several indices, in their order, by one GetBatch.

        By several, if they are more than `max_batch` or have more bytes than `max_inflight_bytes`;
        big objects, and those that an ETL transforms, are read by concurrent GETs. An index may
        come several times. What ``on_error`` skips is left out.

        Raises:
            IndexError: There are not so many objects.
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: All of them were skipped, or more than `max_errors`.
        """
        entries = [self.manifest[index] for index in indices]
        usual_bytes = median([max(entry.size, 0) for entry in entries] or [0])
        found = self._reader.read_many(entries, attrgetter("url"), usual_bytes)
        return [(entry.name, content) for entry, content in found]

    def get_obj_list(self) -> list[Object]:
        """Return the SDK's objects, with their sizes, as AIStore's own class does.

        It makes one Python object for each; `manifest` has the same at no cost.
        """
        requests = map(self._reader.request_for, self.manifest.urls())
        sized = zip(requests, self.manifest.sizes, strict=True)
        return [request.sdk_object(size) for request, size in sized]

    def object_sizes(self) -> Sequence[int]:
        """Return the bytes of every object, -1 for one that is not there.

        Sizes that no listing told, as of an `ObjectGroup`, are asked for now, concurrently.

        Raises:
            AISPipeError: The cluster cannot be asked.
        """
        return sizes_of(self.manifest, self._reader.request_for)

    def counters(self) -> Counters:
        """Return what this dataset has done until now, all its worker processes together."""
        return self._reader.counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now, of all worker processes."""
        return self._reader.counters.skipped_urls()
