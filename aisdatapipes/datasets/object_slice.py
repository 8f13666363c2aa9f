"""Object slice: the objects that one worker reads, and how far it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from operator import attrgetter

from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.object_reader import ObjectReader

__all__ = ["ObjectSlice"]


class ObjectSlice:
    """Gives out the entries of a slice, and follows how far they have come back as content.

    The reading runs ahead of the consumer and may be of some of the entries only. An entry is
    consumed when it, or a later one, is yielded.

    Args:
        progress: Where the worker stands; moved on here.
        manifest: What its positions are.
    """

    def __init__(self, progress: Progress, manifest: Manifest) -> None:
        self._progress = progress
        self._manifest = manifest
        self._given: deque[tuple[ManifestEntry, int]] = deque()

    @property
    def size(self) -> int:
        """How many entries are left."""
        return len(self._progress.slice.positions) - self._progress.consumed

    def entries(self) -> Iterator[ManifestEntry]:
        """Give out what is left of the slice, in order."""
        left = self._progress.left()
        for count, position in enumerate(left, self._progress.consumed + 1):
            entry = self._manifest[position]
            self._given.append((entry, count))
            yield entry

    def contents(
        self, entries: Iterable[ManifestEntry], reader: ObjectReader
    ) -> Iterator[tuple[ManifestEntry, bytes]]:
        """Yield entries with their content, and count them as consumed.

        Raises:
            ValueError: An entry was not given out here, or comes out of order.
        """
        own = len(self._progress.slice.own)
        counters = reader.counters.of_this_process()
        with closing(reader.read_all(entries, attrgetter("url"))) as contents:
            for entry, content in contents:
                self._consume(entry)
                if content is not None:
                    if self._progress.consumed > own:
                        counters.add("padding")
                    yield entry, content
        while self._given:
            self._progress.consumed = self._given.popleft()[1]

    def _consume(self, entry: ManifestEntry) -> None:
        while self._given:
            given, count = self._given.popleft()
            if given is entry:
                self._progress.consumed = count
                return
        raise ValueError(
            f"read() got {entry.url!r}, which share() did not give at this place: pass it the "
            "entries of one share() in their order, all or some of them"
        )
