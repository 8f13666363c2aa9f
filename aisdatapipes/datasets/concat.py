"""Concatenation: several map datasets as one, and a batch of all of them still one request."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from torch.utils.data import ConcatDataset, Dataset, Subset

from aisdatapipes.metrics.counters import Counters

__all__ = ["AISConcatDataset", "Joinable"]

T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class Joinable(Protocol):
    """A dataset that can read for others too, and has counters."""

    def can_read_for(self, other: Any) -> bool:
        """Whether samples of `other` may be in one batch with its own."""
        ...

    def read_for(self, wanted: Sequence[tuple[Any, int]]) -> list[tuple[int, Any]]:
        """Return samples of datasets and indices, each with its position in `wanted`."""
        ...

    def counters(self) -> Counters:
        """Return what it has done."""
        ...

    def skipped_urls(self) -> list[str]:
        """Return what it left out."""
        ...


class AISConcatDataset(ConcatDataset[T_co]):
    """torch's `ConcatDataset`, but that a `DataLoader` reads a batch by one request.

    torch's own reads index by index, so that every object is a request. ``dataset_a + dataset_b``
    is one of these; `Subset` and `random_split` of it, and of what is in it, keep to one request.

    A batch is one request where the datasets are `AISMapDataset` or `AISDataset` with the same
    cluster, ETL and options; else one for each kind of them. The first dataset of a batch counts
    what is read for the others. Other datasets may be among them.

    Args:
        datasets: Map datasets, subsets and concatenations of them.

    Raises:
        AssertionError: `datasets` is empty, or has an iterable dataset.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> from aisdatapipes import AISMapDataset
        >>> flags, packs = (AISMapDataset(urls_list=f"ais://caltech256/00{n}.") for n in (2, 3))
        >>> both = flags + packs
        >>> [len(batch) for batch in DataLoader(both, batch_size=4, collate_fn=list)]
        [4]
        >>> both.counters().requests
        1

    Source:
        ``torch.utils.data.ConcatDataset``.
    """

    if TYPE_CHECKING:  # torch's has no types

        def __getitem__(self, idx: int) -> T_co: ...

    def __add__(self, other: Dataset[T_co]) -> AISConcatDataset[T_co]:
        return AISConcatDataset([self, other])

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        """Return the samples of a batch, in the order of the indices.

        What ``on_error`` skips is left out.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: All that were read together were skipped, or more than `max_errors`.
        """
        wanted = [_member(self, index) for index in indices]
        groups: list[_Group] = []
        group_of: dict[int, _Group] = {}
        for position, (dataset, _) in enumerate(wanted):
            if id(dataset) not in group_of:
                group_of[id(dataset)] = _group_for(dataset, groups)
            group_of[id(dataset)].positions.append(position)
        found = [pair for group in groups for pair in group.read(wanted)]
        return [sample for _, sample in sorted(found, key=itemgetter(0))]

    def counters(self) -> Counters:
        """Return what its datasets have done until now, all worker processes together."""
        return sum((one.counters() for one in self._joinable()), Counters())

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now, of all its datasets."""
        return [url for one in self._joinable() for url in one.skipped_urls()]

    def _joinable(self) -> list[Joinable]:
        found = {id(one): one for one in _leaves(self)}
        return [one for one in found.values() if isinstance(one, Joinable)]


def _member(dataset: Dataset, index: int) -> tuple[Dataset, int]:
    """Return the dataset, below subsets and concatenations, that has an index, and its own one."""
    while True:
        if _is_plain(dataset, Subset):
            subset = cast("Subset", dataset)
            dataset, index = subset.dataset, subset.indices[index]
        elif _is_plain(dataset, ConcatDataset):
            dataset, index = _part(cast("ConcatDataset", dataset), index)
        else:
            return dataset, index


def _part(joined: ConcatDataset, index: int) -> tuple[Dataset, int]:
    size = len(joined)
    if not -size <= index < size:
        raise IndexError(f"no sample {index}: there are {size} in all datasets together")
    index %= size
    number = bisect_right(joined.cumulative_sizes, index)
    return joined.datasets[number], index - (joined.cumulative_sizes[number - 1] if number else 0)


def _leaves(dataset: Dataset) -> Iterator[Dataset]:
    if _is_plain(dataset, Subset):
        yield from _leaves(cast("Subset", dataset).dataset)
    elif _is_plain(dataset, ConcatDataset):
        for part in cast("ConcatDataset", dataset).datasets:
            yield from _leaves(part)
    else:
        yield dataset


def _is_plain(dataset: Dataset, kind: type[Dataset]) -> bool:
    """Whether it is of a kind whose samples are those of its parts, as they are."""
    return isinstance(dataset, kind) and type(dataset).__getitem__ is kind.__getitem__


@dataclass
class _Group:
    """Samples of a batch that are read together, and the dataset that reads them."""

    head: Dataset
    positions: list[int] = field(default_factory=list)

    def takes(self, dataset: Dataset) -> bool:
        return isinstance(self.head, Joinable) and self.head.can_read_for(dataset)

    def read(self, batch: list[tuple[Dataset, int]]) -> Iterator[tuple[int, Any]]:
        """Yield its samples, each with its position in the batch."""
        wanted = [batch[position] for position in self.positions]
        if isinstance(self.head, Joinable) and self.takes(self.head):
            return ((self.positions[at], sample) for at, sample in self.head.read_for(wanted))
        indices = [index for _, index in wanted]
        read_batch = getattr(self.head, "__getitems__", None)
        samples = read_batch(indices) if read_batch else map(self.head.__getitem__, indices)
        return zip(self.positions, samples, strict=False)  # fewer, if it skips some


def _group_for(dataset: Dataset, groups: list[_Group]) -> _Group:
    """Return the group that takes a dataset, added to the others if there is none yet."""
    for group in groups:
        if group.takes(dataset):
            return group
    groups.append(_Group(dataset))
    return groups[-1]
