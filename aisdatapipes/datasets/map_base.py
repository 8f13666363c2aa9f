"""The base of map datasets: which objects they have, and how these are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Generic

from torch.utils.data import Dataset
from typing_extensions import TypeVar

from aisdatapipes.datasets.concat import AISConcatDataset
from aisdatapipes.datasets.old_hooks import OldMapHooks
from aisdatapipes.datasets.sources import DatasetSource, PrefixMap, SourceKeywords, Sources
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.manifests.sizing import sizes_of
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.options import ReadKeywords
from aisdatapipes.types import Object

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISBaseMapDataset", "MapKeywords", "Pair"]

Pair = tuple[str, bytes]
"""Name of an object and its content."""

T = TypeVar("T", default=Any)


class MapKeywords(SourceKeywords, ReadKeywords, total=False):
    """What a map dataset takes beside what its signature names."""

    full_urls: bool


class AISBaseMapDataset(OldMapHooks, Dataset[T], ABC, Generic[T]):
    """Base of map-style datasets: knows its objects and reads them; you say what a sample is.

    Subclass it and define ``__getitem__``, with `read` for the object at an index. If you also
    define ``__getitems__``, by `read_many`, a `DataLoader` reads a batch by one request.

    The objects are listed when the dataset is made, each of them once, in the order of
    `urls_list` and then of `ais_source_list`; worker processes use that listing. Ranks and
    shuffling are the business of the `DataLoader`'s sampler, as `DistributedSampler`.
    ``dataset_a + dataset_b`` is an `AISConcatDataset`, which keeps to one request for a batch.

    Which object a sample is of: ``dataset.manifest[index]`` has URL, bucket, name and size, and
    with ``full_urls=True`` samples have the URL in place of the name, so that objects of the same
    name in two buckets are told apart.

    Type checkers know what a sample is as ``AISBaseMapDataset[...]``.

    Args:
        ais_source_list: `Bucket`, `ObjectGroup` or `Object` of the SDK, or several; a string is
            taken for one of `urls_list`.
        prefix_map: Sources, to the prefix or prefixes that the names of their objects begin
            with; None for all. A key holds for every equal source.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The objects, in place of sources and URLs.
        transform: Called with what the dataset would return, returns what it returns instead;
            for `AISMapDataset` and `AISDataset`. It has to pickle if workers are spawned.
        options: What else may be given, by name:

            - What: ``full_urls``, to have URLs in place of names.
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
        ais_source_list: Sources = None,
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
        self.full_urls = options.get("full_urls", False)

    @abstractmethod
    def __getitem__(self, index: int) -> T:
        """Return the sample at an index."""

    def __add__(self, other: Dataset[T]) -> AISConcatDataset[T]:
        return AISConcatDataset([self, other])

    def __getitems__(self, indices: Sequence[int]) -> list[T]:
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
        entry = self.manifest[index]
        return self._label(entry), self._reader.read_one(entry.url)

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
        return [pair for _, pair in self._read_for([(self, index) for index in indices])]

    def _read_for(self, wanted: Sequence[tuple[AISBaseMapDataset, int]]) -> list[tuple[int, Pair]]:
        """Read for this and for other datasets; return pairs with their position in `wanted`."""
        entries = [(at, one, one.manifest[index]) for at, (one, index) in enumerate(wanted)]
        usual_bytes = median([max(entry.size, 0) for _, _, entry in entries] or [0])
        found = self._reader.read_many(entries, lambda item: item[2].url, usual_bytes)
        return [(at, (one._label(entry), content)) for (at, one, entry), content in found]

    def _label(self, entry: ManifestEntry) -> str:
        return entry.url if self.full_urls else entry.name

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
