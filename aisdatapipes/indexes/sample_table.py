"""Sample table: where the samples of shards are, by their numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from operator import index as as_index
from typing import Any

from aisdatapipes.indexes.index_file import IndexFile
from aisdatapipes.indexes.sample_entry import SampleEntry
from aisdatapipes.manifests.manifest import Manifest

__all__ = ["SampleTable"]


class SampleTable:
    """The samples of shards, in order: a read-only sequence of `SampleEntry`.

    Args:
        file: What is known of them.
        manifest: The shards.

    Attributes:
        manifest: As given.
    """

    def __init__(self, file: IndexFile, manifest: Manifest) -> None:
        self._file = file
        self._urls: dict[int, str] = {}
        self.manifest = manifest

    @cached_property
    def extensions(self) -> tuple[str, ...]:
        """All extensions that samples have, in the order in which they first come."""
        return tuple(dict.fromkeys(one for kind in self._file.extensions for one in kind))

    @property
    def counts(self) -> list[int]:
        """How many samples each shard has."""
        firsts = self._file.columns.firsts
        return [end - begin for begin, end in pairwise(firsts)]

    @cached_property
    def versions(self) -> list[str]:
        """Size and checksum of each shard when it was indexed; empty for one that was gone."""
        return self._file.versions()

    @property
    def counts_in_order(self) -> list[int]:
        """How many samples each shard has for who reads it in order.

        A sample whose members are apart is several there.
        """
        counts = self.counts
        for sample in self._file.columns.part_samples:
            counts[self.shard_of(sample)] += 1
        return counts

    @property
    def has_parts(self) -> bool:
        """Whether members of some sample are apart."""
        return bool(len(self._file.columns.part_samples))

    @property
    def data(self) -> memoryview:
        """The bytes of its file, not copied."""
        return self._file.data

    @property
    def nbytes(self) -> int:
        """Bytes of its file."""
        return len(self.data)

    def url_of(self, shard: int) -> str:
        """Return the URL of a shard."""
        url = self._urls.get(shard)
        if url is None:
            url = self._urls[shard] = self.manifest[shard].url
        return url

    def version_of(self, shard: int) -> str:
        """Return size and checksum of a shard when it was indexed."""
        return self.versions[shard]

    def shard_of(self, sample: int) -> int:
        """Return the number of the shard of a sample."""
        return bisect_right(self._file.columns.firsts, sample) - 1

    def samples_of(self, shard: int) -> range:
        """Return the numbers of the samples of a shard."""
        firsts = self._file.columns.firsts
        return range(firsts[shard], firsts[shard + 1])

    def position(self, index: int) -> int:
        """Return the number of a sample; negative indices count from the end.

        Raises:
            IndexError: There are not so many samples.
        """
        position = as_index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"no sample {index}: the index has {len(self)}")
        return position

    def range_of(self, sample: int) -> tuple[int, int]:
        """Return where a sample is, its first range if it has several."""
        columns = self._file.columns
        return columns.begins[sample], columns.ends[sample]

    def parts_of(self, sample: int) -> Sequence[tuple[int, int]]:
        """Return the further ranges of a sample, which most have none of."""
        columns = self._file.columns
        if not len(columns.part_samples):
            return ()
        first = bisect_right(columns.part_samples, sample - 1)
        numbers = range(first, bisect_right(columns.part_samples, sample))
        return [(columns.part_begins[at], columns.part_ends[at]) for at in numbers]

    def key(self, sample: int) -> str:
        """Return the key of a sample."""
        return self._file.key(sample)

    def extensions_of(self, sample: int) -> tuple[str, ...]:
        """Return the extensions of a sample, in the order of its files."""
        return self._file.extensions[self._file.columns.kinds[sample]]

    def __len__(self) -> int:
        return len(self._file.columns.begins)

    def __getitem__(self, index: int) -> SampleEntry:
        sample = self.position(index)
        url = self.url_of(self.shard_of(sample))
        ranges = (self.range_of(sample), *self.parts_of(sample))
        return SampleEntry(url, self.key(sample), self.extensions_of(sample), ranges)

    def __iter__(self) -> Iterator[SampleEntry]:
        return map(self.__getitem__, range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self._file, "manifest": self.manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        SampleTable.__init__(self, **state)
