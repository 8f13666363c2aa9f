"""Shard blocks: most of the randomness of a shuffle at about the speed of reading in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.shuffling import block_order, epoch_order
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.samplers.ranked import RankedSampler

__all__ = ["ShardBlockSampler"]


class _IndexedSource(Protocol):
    index: ShardIndex


class ShardBlockSampler(RankedSampler[int]):
    """Samples of random shards, shuffled within blocks of some shards (give it as ``sampler=``).

    The shards of an epoch are in a random order. Of each block of `block_shards` of them, runs
    of `run` samples that are neighbours in a shard come in a random order. A batch is made of a
    few runs out of the whole block, and each run is read as one range: so a batch takes few
    ranges, and memory for itself only. With ``run=1`` all samples of a block are shuffled, at the
    cost of a true shuffle; but fewer shards are in use at a time, which a cluster has in its
    cache. Runs begin at other samples in every epoch.

    In a job of several ranks each has a part of the epoch's order. As for `DistributedSampler`,
    `set_epoch` before every pass gives every epoch an order of its own; one rank alone goes on
    to the next epoch by itself. ``StatefulDataLoader`` resumes it in the middle of an epoch.

    Args:
        data_source: An `AISShardMapDataset`.
        block_shards: How many shards are mixed.
        run: How many neighbours stay together, at most.
        seed: Of the orders; the same in all ranks.
        rank: Number of this process; default that of ``torch.distributed``, else ``$RANK``.
        world_size: How many processes there are; default likewise.
        uneven: Where the ranks cannot have equally many samples: ``"pad"`` repeats some of the
            beginning, ``"drop"`` leaves out the last ones, ``"keep"`` gives some ranks one more.

    Attributes:
        epoch: Which one comes next.

    Raises:
        ValueError: A number is out of its range.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> from aisdatapipes import AISShardMapDataset
        >>> dataset = AISShardMapDataset(urls_list="ais://coco/train-")
        >>> sampler = ShardBlockSampler(dataset, block_shards=8)
        >>> loader = DataLoader(dataset, batch_size=256, sampler=sampler, collate_fn=list)
        >>> len(sampler), list(sampler)
        (1, [0])
    """

    def __init__(
        self,
        data_source: _IndexedSource,
        block_shards: int = 8,
        run: int = 16,
        *,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        uneven: Uneven = "pad",
    ) -> None:
        for name, number in (("block_shards", block_shards), ("run", run)):
            if number < 1:
                raise ValueError(f"{name} is {number}, it must be 1 or more")
        super().__init__(rank, world_size, uneven)
        self._index = data_source.index
        self._block_shards, self._run, self._seed = block_shards, run, seed

    def __iter__(self) -> Iterator[int]:
        """Return an iterator over the samples of this rank, with a state of its own."""
        return _Pass(self)

    def __len__(self) -> int:
        """Return the number of samples that this rank has."""
        return self._partition().rank_size(len(self._index), self._world().rank)

    def next_epoch(self) -> int:
        """Begin a pass: return its epoch, and let one rank alone have the next one after it."""
        epoch = self.epoch
        self.epoch += self._world().world_size == 1
        return epoch

    def order(self, epoch: int) -> Iterator[int]:
        """Yield the samples of this rank in an epoch; lazy, block by block."""
        partition, count, size = self._partition(), len(self._index), len(self)
        place = sum(partition.rank_size(count, rank) for rank in range(self._world().rank))
        while size:
            begin = place % count  # what is behind the end is padding, from the beginning
            end = min(begin + size, count)
            yield from self._between(epoch, begin, end)
            place, size = place + end - begin, size - (end - begin)

    def _between(self, epoch: int, begin: int, end: int) -> Iterator[int]:
        counts = self._index.counts
        shards = epoch_order(len(counts), self._seed, epoch, shuffle=True).tolist()
        at = 0
        for first in range(0, len(shards), self._block_shards):
            block = shards[first : first + self._block_shards]
            following = at + sum(counts[shard] for shard in block)
            if following > begin and at < end:
                samples = self._shuffled(block, epoch, first)
                yield from samples[max(begin - at, 0) : end - at]
            at = following

    def _shuffled(self, block: list[int], epoch: int, first: int) -> list[int]:
        """Return the samples of a block of shards, with its runs in a random order."""
        runs = [run for shard in block for run in self._runs(shard, epoch)]
        order = block_order(len(runs), self._seed, epoch, f"block {first}").tolist()
        return [sample for number in order for sample in runs[number]]

    def _runs(self, shard: int, epoch: int) -> list[range]:
        samples = self._index.samples_of(shard)
        phase = int(block_order(self._run, self._seed, epoch, f"shard {shard}")[0])
        begins = range(samples.start - phase, samples.stop, self._run)
        runs = (range(max(at, samples.start), min(at + self._run, samples.stop)) for at in begins)
        return [run for run in runs if run]


class _Pass(Iterator[int]):
    """One pass over the samples of a rank, with the state that ``StatefulDataLoader`` keeps.

    It begins with its first sample: loaders with workers make two of which they use one.

    Args:
        sampler: Whose pass.
    """

    def __init__(self, sampler: ShardBlockSampler) -> None:
        self._sampler = sampler
        self._epoch: int | None = None
        self._given = 0

    def __next__(self) -> int:
        if self._epoch is None:
            self._begin(self._sampler.next_epoch(), 0)
        sample = next(self._samples)
        self._given += 1
        return sample

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and how many of its samples were given."""
        epoch = self._sampler.epoch if self._epoch is None else self._epoch
        return {"epoch": epoch, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state says; the next pass is that of the epoch after it."""
        self._sampler.set_epoch(state["epoch"])
        self._begin(self._sampler.next_epoch(), state["given"])

    def _begin(self, epoch: int, given: int) -> None:
        self._epoch, self._given = epoch, given
        self._samples = islice(self._sampler.order(epoch), given, None)
