"""Sample parts: the samples of shards, cut into pieces that ranks and workers can share."""

from __future__ import annotations

from array import array

from aisdatapipes.indexes.shard_index import ShardIndex

__all__ = ["SampleParts"]

_LEAST_PARTS = 256
_MOST_BYTES = 8 * 2**20


class SampleParts:
    """Cuts the samples of an index: neighbours of one shard, that are read by one request.

    How, follows from the index alone, so that it is the same for any number of ranks and workers.
    There are 256 parts or more, where there are so many samples; none has more than 8 MiB, but
    for a single sample.

    Args:
        index: Where the samples are.

    Raises:
        ValueError: Members of a sample are apart, so that no part has all of them.

    Example:
        >>> parts = SampleParts(ShardIndex.build("ais://coco/train-"))
        >>> len(parts), parts.samples(0), parts.counts
        (1, range(0, 1), [1])
    """

    def __init__(self, index: ShardIndex) -> None:
        if index.has_parts:
            raise ValueError(
                "members of some samples are apart in their shards, which cannot be dealt by "
                "samples: read them by AISShardMapDataset, or pack such shards again"
            )
        self._firsts = array("q")
        most = max(1, len(index) // _LEAST_PARTS)
        for shard in range(len(index.manifest)):
            self._cut(index, index.samples_of(shard), most)
        self._firsts.append(len(index))

    def _cut(self, index: ShardIndex, samples: range, most: int) -> None:
        first = begin = 0
        for sample in samples:
            start, end = index.range_of(sample)
            if sample == samples.start or sample - first == most or end - begin > _MOST_BYTES:
                first, begin = sample, start
                self._firsts.append(sample)

    def __len__(self) -> int:
        return len(self._firsts) - 1

    def samples(self, part: int) -> range:
        """Return the numbers of the samples of a part."""
        return range(self._firsts[part], self._firsts[part + 1])

    @property
    def counts(self) -> list[int]:
        """How many samples each part has."""
        return [len(self.samples(part)) for part in range(len(self))]
