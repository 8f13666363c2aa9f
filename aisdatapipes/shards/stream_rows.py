"""Stream rows: several streams of shards side by side, a row at a time.

Row n is the n-th shard of every stream. Ranks and workers have rows; in a row, the n-th files of
all its shards are a tuple. So a row can be read, resumed, skipped and repeated by itself, and
whatever happens to one leaves the pairing of all others as it is. That needs shards of the same
number to have equally many files.

Streams that are packed otherwise can be read in one process, from their beginnings to their
ends: there the streams just run side by side, and a row is what has its files in one shard of
the first stream. A shard that is skipped would shift all that follows, so it must not be.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from functools import partial

from aisdatapipes.distributed.shared_once import SharedOnce
from aisdatapipes.errors import UnequalStreamsError
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorPolicy
from aisdatapipes.shards.counting import count_shards, readable
from aisdatapipes.shards.shard_stream import ShardStream

__all__ = ["REPACK", "StreamRows"]

REPACK = (
    "pack the streams again so that the n-th shards of all of them have equally many files, or "
    "read them in one process, without shuffle and with on_error='raise'"
)


class StreamRows:
    """Streams that are read together.

    Args:
        streams: In the order of the tuples.
        strict: Whether they must have equally many files; else the shortest says where all end.
        policy: What to do with shards that cannot be read.

    Raises:
        ValueError: There is no stream.
    """

    def __init__(
        self, streams: Sequence[ShardStream], *, strict: bool, policy: ErrorPolicy
    ) -> None:
        if not streams:
            raise ValueError("no streams to read: give data_sources=[DataShard(...), ...]")
        self.streams = list(streams)
        self.strict = strict
        self.policy = policy
        self._counts = SharedOnce(f"files of {self.fingerprint}")

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of all shards, in order."""
        fingerprints = "/".join(stream.manifest.fingerprint for stream in self.streams)
        return hashlib.blake2b(fingerprints.encode(), digest_size=16).hexdigest()

    @property
    def lengths(self) -> list[int]:
        """How many shards each stream has."""
        return [len(stream.manifest) for stream in self.streams]

    @property
    def last(self) -> int:
        """The last row that has a shard of every stream; -1 if there is none."""
        return min(self.lengths) - 1

    def counts(self, counters: ProcessCounters) -> list[array[int]]:
        """Return how many files each shard of each stream has; see `count_shards`.

        Raises:
            AISPipeError: The cluster cannot be asked.
        """
        shards = [range(length) for length in self.lengths]
        counted = array("q", self._counts.get(lambda: self._count(shards, counters)))
        found = []
        for length in self.lengths:
            found.append(counted[:length])
            counted = counted[length:]
        return found

    def sizes(self, counters: ProcessCounters) -> list[int]:
        """Return how many tuples each row has.

        Raises:
            UnequalStreamsError: The streams have not equally many shards, or the shards of a row
                not equally many files.
            AISPipeError: The cluster cannot be asked.
        """
        self.check_lengths()
        counts = self.counts(counters)
        in_rows = list(zip(*counts, strict=False))
        sizes = [self._size(row, in_row) for row, in_row in enumerate(in_rows)]
        return sizes + [0] * (self.lengths[0] - len(sizes))

    def files_behind(self, shards: Sequence[int], counters: ProcessCounters) -> int:
        """Return how many files there are behind a shard of each stream, all together.

        Raises:
            AISPipeError: The cluster cannot be asked.
        """
        ends = zip(shards, self.lengths, strict=True)
        behind = [range(shard + 1, length) for shard, length in ends]
        return sum(map(readable, array("q", self._count(behind, counters))))

    def check_lengths(self) -> None:
        """Make sure that all streams have equally many shards, if they must.

        Raises:
            UnequalStreamsError: They have not.
        """
        if self.strict and len(set(self.lengths)) > 1:
            pairs = zip(self.streams, self.lengths, strict=True)
            texts = [f"{stream.name} has {length}" for stream, length in pairs]
            raise UnequalStreamsError(
                f"the streams have not equally many shards: {', '.join(texts)}; {REPACK}"
            )

    def _count(self, shards: Iterable[Iterable[int]], counters: ProcessCounters) -> bytes:
        to_count = [
            (stream.url(shard), partial(stream.request_for, shard), stream.manifest.sizes[shard])
            for stream, own in zip(self.streams, shards, strict=True)
            for shard in own
        ]
        return count_shards(to_count, "files", self.policy, counters)

    def _size(self, row: int, counts: Sequence[int]) -> int:
        """Return how many tuples come of a row: up to its first end, or its first fault."""
        size = min(map(readable, counts))
        is_skipped = ~size in counts
        if max(map(readable, counts)) > size and not is_skipped and not self.may_be_unequal(row):
            raise self.unequal(row, [readable(count) for count in counts])
        return size

    def may_be_unequal(self, row: int) -> bool:
        """Whether a row may end where its shortest shard does."""
        return not self.strict and row == self.last

    def unequal(self, row: int, counts: Sequence[int | str]) -> UnequalStreamsError:
        """Return the error for a row whose shards have different numbers of files."""
        shards = zip(self.streams, counts, strict=True)
        texts = [f"{stream.url(row)} has {count} files" for stream, count in shards]
        stop = "; strict=False stops at the end of the shortest" if row == self.last else ""
        return UnequalStreamsError(
            f"the shards of row {row} have not equally many files: {', '.join(texts)}; {REPACK}"
            f"{stop}"
        )
