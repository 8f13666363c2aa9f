"""The map dataset of parallel downloads, under the name and arguments that AIStore gave it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from aisdatapipes.datasets.map import AISMapDataset
from aisdatapipes.datasets.map_base import MapKeywords, Pair
from aisdatapipes.datasets.sources import PrefixMap, Sources
from aisdatapipes.manifests.manifest import Manifest

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AISParallelMapDataset", "ObjectBuffer"]


class ObjectBuffer(bytes):
    """Content of an object, with the methods of the SDK's ``ParallelBuffer``.

    Example:
        >>> with ObjectBuffer(b"content") as buffer:
        ...     bytes(buffer.buf[:3]), buffer.tobytes()
        (b'con', b'content')
    """

    @property
    def buf(self) -> memoryview:
        """The content, not copied."""
        return memoryview(self)

    def tobytes(self) -> bytes:
        """Return the content."""
        return bytes(self)

    def close(self) -> None:
        """Do nothing: there is no shared memory to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ParallelKeywords(MapKeywords, total=False):
    """What the dataset takes beside what its signature names."""

    etl_name: str | None
    urls_list: str | Iterable[str] | None
    manifest: Manifest | None


class AISParallelMapDataset(AISMapDataset[tuple[str, ObjectBuffer]]):
    """`AISMapDataset` with the parameters of AIStore's own dataset of parallel downloads.

    AIStore's splits every object into ranges, which processes read; this one reads an object by
    one stream, and the objects of a batch together. Content is `bytes` that also has the methods
    of the SDK's ``ParallelBuffer``; there is nothing to close.

    Args:
        ais_source_list: See `AISBaseMapDataset`.
        prefix_map: See `AISBaseMapDataset`.
        num_workers: Most objects to read at a time where GetBatch does not apply, as for big
            ones; threads of this process.
        options: See `AISBaseMapDataset`.

    Example:
        >>> dataset = AISParallelMapDataset("ais://caltech256/", num_workers=4)
        >>> name, content = dataset[0]
        >>> len(content)
        40

    Source:
        ``AISParallelMapDataset`` of AIStore's ``aistore.pytorch``.
    """

    def __init__(
        self,
        ais_source_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        num_workers: int = 16,
        **options: Unpack[ParallelKeywords],
    ) -> None:
        options.setdefault("concurrency", num_workers)
        super().__init__(ais_source_list, prefix_map, transform=_with_buffer, **options)
        self.num_workers = num_workers


def _with_buffer(pair: Pair) -> tuple[str, ObjectBuffer]:
    return pair[0], ObjectBuffer(pair[1])
