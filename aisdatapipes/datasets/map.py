"""Map datasets: objects by their index, a DataLoader's batch by one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import TypeVar

from aisdatapipes.datasets.map_base import AISBaseMapDataset, MapKeywords, Pair
from aisdatapipes.datasets.sources import ClusterKeywords, PrefixMap, Sources
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.reading.options import ReadKeywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISDataset", "AISMapDataset"]

T = TypeVar("T", default=Pair)


class AISMapDataset(AISBaseMapDataset[T], Generic[T]):
    """Objects as ``(name, content)`` by index.

    A `DataLoader` with a batch size reads each batch by one GetBatch request. Arguments, errors,
    listing and the rest are those of `AISBaseMapDataset`. Type checkers know a sample as
    ``tuple[str, bytes]``, or as what `transform` returns.

    Args:
        ais_source_list: See `AISBaseMapDataset`, as for all others.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> dataset = AISMapDataset(urls_list="ais://caltech256/")
        >>> len(dataset), dataset[-1][0]
        (5, '004.baseball-bat/004_0001.jpg')
        >>> loader = DataLoader(dataset, batch_size=2, shuffle=True, collate_fn=list)
        >>> sum(len(batch) for batch in loader)
        5

    Source:
        ``AISMapDataset`` of AIStore's ``aistore.pytorch``; it reads each object by two requests.
    """

    def __init__(
        self,
        ais_source_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[Pair], T] | None = None,
        **options: Unpack[MapKeywords],
    ) -> None:
        super().__init__(
            ais_source_list,
            prefix_map,
            etl_name,
            urls_list=urls_list,
            manifest=manifest,
            transform=transform,
            **options,
        )

    def __getitem__(self, index: int) -> T:
        """Return ``(name, content)`` of the object at an index, transformed.

        Raises:
            IndexError: There are not so many objects.
            AISPipeError: It cannot be read, and ``on_error`` is no function that has content.
        """
        return self._transformed(self.read(index))

    def __getitems__(self, indices: Sequence[int]) -> list[T]:
        """Return ``(name, content)`` of a batch, transformed, in the order of the indices.

        What ``on_error`` skips is left out.

        Raises:
            IndexError: There are not so many objects.
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: All of them were skipped, or more than `max_errors`.
        """
        if not self._has_own_samples():
            return super().__getitems__(indices)  # a subclass has samples of its own
        return [self._transformed(pair) for pair in self.read_many(indices)]

    def can_read_for(self, other: Any) -> bool:
        """Whether samples of `other` may be in one request with these; see `AISConcatDataset`."""
        if not isinstance(other, AISMapDataset) or not self._reader.reads_like(other._reader):
            return False
        return self._has_own_samples() and other._has_own_samples()

    def read_for(self, wanted: Sequence[tuple[AISMapDataset, int]]) -> list[tuple[int, Any]]:
        """Return samples of datasets that `can_read_for` is true of, in order, by one GetBatch.

        Args:
            wanted: Datasets, and the index in each.

        Returns:
            Each sample with its position in `wanted`; what ``on_error`` skips is left out.

        Raises:
            AISPipeError: See `read_many`.
        """
        return [(at, wanted[at][0]._transformed(pair)) for at, pair in self._read_for(wanted)]

    def _has_own_samples(self) -> bool:
        """Whether samples are what this class makes of them, and not what a subclass does."""
        kind = type(self)
        return (kind.__getitem__, kind._transformed) == (
            AISMapDataset.__getitem__,
            AISMapDataset._transformed,
        )

    def _transformed(self, pair: Pair) -> T:
        return self.transform(pair) if self.transform else cast("T", pair)


class _Keywords(ClusterKeywords, ReadKeywords, total=False):
    """What `AISDataset` takes beside what its signature names."""

    full_urls: bool


class AISDataset(AISMapDataset[T], Generic[T]):
    """`AISMapDataset` with the parameters that AIStore's README has: the address comes first.

    Args:
        client_url: Address of the cluster, ``http://host:port``; default that of the first
            source, if there is one, or ``$AIS_ENDPOINT``.
        urls_list: ``provider://bucket[/prefix]``, or several.

    Example:
        >>> dataset = AISDataset(urls_list="ais://caltech256/002.")
        >>> for index in range(len(dataset)):
        ...     name, content = dataset[index]

    Source:
        ``aistore/pytorch/README.md`` of AIStore, May 2024.
    """

    def __init__(
        self,
        client_url: str | None = None,
        urls_list: str | Iterable[str] | None = None,
        ais_source_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        *,
        manifest: Manifest | None = None,
        transform: Callable[[Pair], T] | None = None,
        **options: Unpack[_Keywords],
    ) -> None:
        super().__init__(
            ais_source_list,
            prefix_map,
            etl_name,
            urls_list=urls_list,
            manifest=manifest,
            transform=transform,
            client_url=client_url,
            **options,
        )
