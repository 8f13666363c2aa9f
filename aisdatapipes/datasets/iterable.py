"""The iterable dataset of objects: name and content of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.datasets.iterable_base import AISBaseIterDataset, IterKeywords
from aisdatapipes.datasets.loader_length import length_for_caller
from aisdatapipes.datasets.sources import PrefixMap, Sources
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.object_name import ObjectName

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISIterDataset"]

T_co = TypeVar("T_co", covariant=True, default=tuple[str, bytes])


class AISIterDataset(AISBaseIterDataset[T_co], Generic[T_co]):
    """Objects as ``(name, content)``, each rank and worker its slice, in the order of the sources.

    A name is an `ObjectName`: a text that also has the object's ``url`` and ``bucket``. Type
    checkers know a sample as ``tuple[str, bytes]``, or as what `transform` returns.

    Arguments, errors, state and the rest are those of `AISBaseIterDataset`.

    Args:
        ais_source_list: See `AISBaseIterDataset`, as for all others.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> dataset = AISIterDataset(urls_list="ais://caltech256/", shuffle=True)
        >>> loader = DataLoader(dataset, batch_size=2, collate_fn=list)
        >>> for epoch in range(2):
        ...     dataset.set_epoch(epoch)
        ...     print(sum(len(batch) for batch in loader))
        5
        5

    Source:
        ``AISIterDataset`` of AIStore's ``aistore.pytorch``.
    """

    def __init__(
        self,
        ais_source_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        show_progress: bool = False,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[tuple[str, bytes]], T_co] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        **options: Unpack[IterKeywords],
    ) -> None:
        super().__init__(
            ais_source_list,
            prefix_map,
            etl_name,
            show_progress,
            urls_list=urls_list,
            manifest=manifest,
            transform=transform,
            shuffle=shuffle,
            seed=seed,
            **options,
        )

    def __len__(self) -> int:
        """Return how many objects this rank has in an epoch, all its workers together.

        A `DataLoader` gets the number of which it makes its number of batches, for its batch size
        and workers. What ``on_error`` skips is not known before.
        """
        return length_for_caller(self._epochs.worker_sizes)

    def _samples(self, progress: Progress) -> Iterator[tuple[ObjectName, bytes]]:
        samples = super()._samples(progress)
        return ((ObjectName(entry.name, entry.url), content) for entry, content in samples)
