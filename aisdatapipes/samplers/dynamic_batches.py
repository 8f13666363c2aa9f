"""Dynamic batches: those of a map dataset that are bounded in bytes."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.shuffling import epoch_order, turn_order
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.samplers.ranked import RankedSampler

__all__ = ["DynamicBatchSampler"]

_logger = logging.getLogger(__name__)


class _SizedSource(Protocol):
    manifest: Manifest

    def object_sizes(self) -> Sequence[int]: ...


class DynamicBatchSampler(RankedSampler[list[int]]):
    """Batches of as many samples as fit a number of bytes (give it as ``batch_sampler=``).

    Samples are taken in order until the next one would be too much. An object that is larger
    than `max_batch_size` is a batch by itself or, by default, left out: each is logged once, as
    a warning, and `oversized` has them all. Empty objects are kept, and so is an object that is
    gone since the listing: reading its batch says so, or skips it.

    In a job of several ranks the batches of the whole dataset are shared by the ranks, so that
    no two ranks have the same sample and each makes equally many steps.

    Args:
        data_source: An `AISMapDataset`, `AISDataset` or other `AISBaseMapDataset`.
        max_batch_size: Most bytes in a batch, of the objects as they are stored.
        drop_last: Leave out the last batch if it is not full enough.
        allow_oversized_samples: Make an object that is larger than `max_batch_size` a batch by
            itself, instead of leaving it out.
        saturation_factor: Part of `max_batch_size`, from 0 to 1, that the last batch must exceed
            to be kept by `drop_last`.
        shuffle: Take the samples in a random order, another one in every epoch.
        seed: Of these orders; the same in all ranks.
        rank: Number of this process; default that of ``torch.distributed``, else ``$RANK``.
        world_size: How many processes there are; default likewise.
        uneven: Where the ranks cannot have equally many batches: ``"pad"`` repeats batches of the
            beginning, ``"drop"`` leaves out the last ones, ``"keep"`` gives some ranks one more.

    Attributes:
        oversized: URLs of the objects that are larger than `max_batch_size`.
        epoch: Which one comes next.

    Raises:
        ValueError: A number is out of its range.
        AISPipeError: Sizes that the listing did not tell cannot be asked for.

    Example:
        >>> from aisdatapipes import AISMapDataset
        >>> dataset = AISMapDataset(urls_list="ais://caltech256/")
        >>> sampler = DynamicBatchSampler(dataset, max_batch_size=80)
        >>> len(sampler), list(sampler)
        (3, [[0, 1], [2, 3], [4]])

    Source:
        ``DynamicBatchSampler`` of AIStore's ``aistore.pytorch``; there ``len`` is the number of
        samples, empty objects are left out, and every rank has all batches.
    """

    def __init__(
        self,
        data_source: _SizedSource,
        max_batch_size: float,
        drop_last: bool = False,
        allow_oversized_samples: bool = False,
        saturation_factor: float = 0.8,
        shuffle: bool = False,
        *,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        uneven: Uneven = "pad",
    ) -> None:
        if not max_batch_size > 0:
            raise ValueError(f"max_batch_size is {max_batch_size}, it must be more than 0")
        if not 0 <= saturation_factor <= 1:
            raise ValueError(f"saturation_factor is {saturation_factor}: give 0 to 1")
        super().__init__(rank, world_size, uneven)
        self._most = max_batch_size
        self._least_of_last = saturation_factor * max_batch_size if drop_last else -1.0
        self._takes_oversized = allow_oversized_samples
        self._shuffle, self._seed = shuffle, seed
        self._sizes = torch.tensor(data_source.object_sizes(), dtype=torch.int64).clamp(min=0)
        self.oversized = self._find_oversized(data_source.manifest)
        self._turn = 0  # how many iterations there were since the epoch was set
        self._packed: tuple[int, list[torch.Tensor]] | None = None

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of this rank, as lists of indices.

        With `shuffle`, every iteration has an order of its own. In a job of one rank the one after
        another one is the next epoch, unless `set_epoch` says which. Of several ranks one may
        iterate more often than the others, and would then be in another epoch: there only
        `set_epoch` goes on, and without it each rank has its batches again, in another order.
        """
        world = self._world()
        if world.world_size == 1:
            self.epoch, self._turn = self.epoch + self._turn, 0
        batches, turn = self._batches(), self._turn if self._shuffle else 0
        self._turn += 1
        own = self._partition().slice(torch.arange(len(batches)), world)
        order = turn_order(len(own.own), self._seed, self.epoch, turn, world)
        for number in own.reordered(order).positions:
            yield batches[number].tolist()

    def __len__(self) -> int:
        """Return the number of batches that this rank has, in the epoch that `set_epoch` says."""
        return self._partition().rank_size(len(self._batches()), self._world().rank)

    def set_epoch(self, epoch: int) -> None:
        """See `RankedSampler`; what comes next is its first pass."""
        super().set_epoch(epoch)
        self._turn = 0

    def _batches(self) -> list[torch.Tensor]:
        """Return the batches of the epoch, of all ranks."""
        epoch = self.epoch if self._shuffle else 0
        if self._packed is None or self._packed[0] != epoch:
            self._packed = epoch, self._pack(epoch)
        return self._packed[1]

    def _pack(self, epoch: int) -> list[torch.Tensor]:
        order = epoch_order(len(self._sizes), self._seed, epoch, shuffle=self._shuffle)
        is_big = self._sizes[order] > self._most
        places = torch.nonzero(~is_big).flatten()
        fitting = order[places]
        lengths = self._lengths(self._sizes[fitting].cumsum(0).tolist())
        batches = fitting[: sum(lengths)].split(lengths)
        if not (self._takes_oversized and self.oversized):
            return list(batches)
        # A batch stands where its last sample does, among the oversized ones.
        ends = places[torch.tensor(lengths, dtype=torch.int64).cumsum(0) - 1].tolist()
        alone = zip(torch.nonzero(is_big).flatten().tolist(), order[is_big].split(1), strict=True)
        placed = [*zip(ends, batches, strict=True), *alone]
        return [batch for _, batch in sorted(placed, key=lambda one: one[0])]

    def _lengths(self, sums: list[int]) -> list[int]:
        """Return how many samples each batch has, of samples with these running sums."""
        lengths, start, before = [], 0, 0
        while start < len(sums):
            end = bisect_right(sums, before + self._most, start)
            if end == len(sums) and sums[-1] - before <= self._least_of_last:
                break
            lengths.append(end - start)
            start, before = end, sums[end - 1]
        return lengths

    def _find_oversized(self, manifest: Manifest) -> list[str]:
        urls = manifest.urls(torch.nonzero(self._sizes > self._most).flatten().tolist())
        for url in urls if not self._takes_oversized else ():
            _logger.warning(
                "left out of all batches: %s has more than max_batch_size=%s bytes; "
                "allow_oversized_samples=True makes it a batch by itself",
                url,
                self._most,
            )
        return urls
