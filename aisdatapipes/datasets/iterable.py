"""The iterable dataset of objects: name and content of each."""

from __future__ import annotations

from collections.abc import Iterator

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.datasets.iterable_base import AISBaseIterDataset
from aisdatapipes.manifests.object_name import ObjectName

__all__ = ["AISIterDataset"]


class AISIterDataset(AISBaseIterDataset):
    """Objects as ``(name, content)``, each rank and worker its slice, in the order of the sources.

    A name is an `ObjectName`: a text that also has the object's ``url`` and ``bucket``.

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

    def _samples(self, progress: Progress) -> Iterator[tuple[ObjectName, bytes]]:
        samples = super()._samples(progress)
        return ((ObjectName(entry.name, entry.url), content) for entry, content in samples)
