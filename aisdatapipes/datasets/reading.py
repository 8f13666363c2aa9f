"""One iteration of a dataset: entries given out, and how far they have come back as content."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing

from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.object_reader import ObjectReader

__all__ = ["Reading"]


class Reading:
    """Matches what is read with what a cursor counts.

    The reading runs ahead of the consumer, leaves out what is skipped, and may be asked for
    some of the entries only. An entry is consumed when it, or a later one, is yielded.

    Args:
        cursor: Where the iteration begins; moved on here.
        manifest: What its positions are.
    """

    def __init__(self, cursor: Cursor, manifest: Manifest) -> None:
        self._cursor = cursor
        self._manifest = manifest
        self._given: deque[tuple[ManifestEntry, int]] = deque()

    @property
    def size(self) -> int:
        """How many entries are left to give out and to read, at the beginning."""
        return len(self._cursor.share.positions) - self._cursor.consumed

    def entries(self) -> Iterator[ManifestEntry]:
        """Give out what is left of the share, in order."""
        left = self._cursor.left
        for count, position in enumerate(left, self._cursor.consumed + 1):
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
        asked: deque[ManifestEntry] = deque()

        def urls() -> Iterator[str]:
            for entry in entries:
                asked.append(entry)
                yield entry.url

        with closing(reader.read_all(urls(), str)) as contents:
            for url, content in contents:
                if content is None:
                    continue
                while (entry := asked.popleft()).url != url:
                    pass  # skipped
                self._consume(entry)
                yield entry, content
        while self._given:
            self._cursor.consumed = self._given.popleft()[1]

    def _consume(self, entry: ManifestEntry) -> None:
        while self._given:
            given, count = self._given.popleft()
            if given is entry:
                self._cursor.consumed = count
                return
        raise ValueError(
            f"read() got {entry.url!r}, which share() did not give at this place: pass it the "
            "entries of one share() in their order, all or some of them"
        )
