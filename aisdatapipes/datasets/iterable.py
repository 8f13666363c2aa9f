"""The iterable dataset of objects: name and content of each."""

from __future__ import annotations

from collections.abc import Iterator

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.datasets.iterable_base import AISBaseIterDataset
from aisdatapipes.datasets.loader_length import length_for_caller

__all__ = ["AISIterDataset"]


class AISIterDataset(AISBaseIterDataset):
    """Objects as ``(name, content)``, each rank and worker its slice, in the order of the sources.

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

    def __len__(self) -> int:
        """Return how many objects this rank has in an epoch, all its workers together.

        A `DataLoader` gets the number of which it makes its number of batches, for its batch size
        and workers. What ``on_error`` skips is not known before.
        """
        return length_for_caller(self._epochs.worker_sizes)

    def _samples(self, progress: Progress) -> Iterator[tuple[str, bytes]]:
        return ((entry.name, content) for entry, content in super()._samples(progress))
