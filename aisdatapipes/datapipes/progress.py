"""Progress: a bar with objects and megabytes per second, as a pipe of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, TypeVar

from torch.utils.data import IterDataPipe, get_worker_info

from aisdatapipes.datapipes.functional_names import FunctionalNames
from aisdatapipes.metrics.progress_bar import with_bar
from aisdatapipes.reading.streams import ObjectStream, size_of

__all__ = ["AISProgress"]

_T = TypeVar("_T")


class AISProgress(FunctionalNames, IterDataPipe[_T]):
    """Shows a tqdm bar for what passes (functional name: ``show_progress_by_ais``).

    Hands every item on unchanged. Put it behind a loader or a samples pipe: then it shows
    megabytes per second too. In a DataLoader every worker has a bar of its own.

    Args:
        source_datapipe: What to count.
        description: Text in front of the bar.
        total: How many items there will be; default the source's ``len()``, if it has one.

    Raises:
        ModuleNotFoundError: While iterating: tqdm is not installed.

    Example:
        >>> from aisdatapipes import AISFileLister
        >>> images = AISFileLister(["ais://caltech256/"]).load_files_by_ais()
        >>> sum(1 for url, stream in images.show_progress_by_ais("reading"))
        5
    """

    def __init__(
        self, source_datapipe: Iterable[_T], description: str = "", total: int | None = None
    ) -> None:
        self.source_datapipe = source_datapipe
        self.description = description
        self.total = total

    def __iter__(self) -> Iterator[_T]:
        worker = get_worker_info()
        yield from with_bar(
            self.source_datapipe,
            _bytes_in,
            self.description,
            self._expected(),
            worker.id if worker else None,
        )

    def __len__(self) -> int:
        return len(self.source_datapipe)  # pyright: ignore[reportArgumentType]

    def _expected(self) -> int | None:
        try:
            return self.total if self.total is not None else len(self)
        except TypeError:
            return None


def _bytes_in(item: Any) -> int:
    """Return the bytes of what a loader or a samples pipe yields; 0 for anything else."""
    if isinstance(item, dict):
        return sum(len(value) for value in item.values() if isinstance(value, bytes))
    content = item[-1] if isinstance(item, tuple) and item else item
    file = getattr(content, "file_obj", content)
    if isinstance(file, bytes):
        return len(file)
    return size_of(file) if isinstance(file, BytesIO | ObjectStream) else 0
