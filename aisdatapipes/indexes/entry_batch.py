"""Entry batch: references to samples, for a reader that wants numbers."""

from __future__ import annotations

from collections.abc import Sequence

from aisdatapipes.indexes.sample_entry import SampleEntry

__all__ = ["EntryBatch"]


class EntryBatch:
    """Samples that are read together, numbered as they come; see `SampleSource`.

    Args:
        entries: The samples.

    Example:
        >>> batch = EntryBatch([SampleEntry("ais://coco/0.tar", "0001", ("jpg",), ((0, 1024),))])
        >>> batch.key(0), batch.url_of(batch.shard_of(0)), batch.range_of(0)
        ('0001', 'ais://coco/0.tar', (0, 1024))
    """

    def __init__(self, entries: Sequence[SampleEntry]) -> None:
        self._entries = entries
        numbers: dict[str, int] = {}
        self._shards = [numbers.setdefault(entry.url, len(numbers)) for entry in entries]
        self._urls = list(numbers)

    @property
    def has_parts(self) -> bool:
        """Whether members of some sample are apart."""
        return any(len(entry.ranges) > 1 for entry in self._entries)

    def shard_of(self, sample: int) -> int:
        """Return the number of the shard of a sample."""
        return self._shards[sample]

    def range_of(self, sample: int) -> tuple[int, int]:
        """Return where a sample is, its first range if it has several."""
        return self._entries[sample].ranges[0]

    def parts_of(self, sample: int) -> Sequence[tuple[int, int]]:
        """Return the further ranges of a sample."""
        return self._entries[sample].ranges[1:]

    def key(self, sample: int) -> str:
        """Return the key of a sample."""
        return self._entries[sample].key

    def extensions_of(self, sample: int) -> tuple[str, ...]:
        """Return the extensions of a sample, in the order of its files."""
        return self._entries[sample].extensions

    def url_of(self, shard: int) -> str:
        """Return the URL of a shard."""
        return self._urls[shard]

    def version_of(self, shard: int) -> str:  # noqa: ARG002 - a reference has none
        """Return that it is unknown."""
        return ""
