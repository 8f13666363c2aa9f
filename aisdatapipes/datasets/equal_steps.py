"""Equal steps: as many samples for each rank, whose shards have different numbers of them.

DDP waits for every rank at every step, so a rank that has a step less than the others leaves them
waiting forever. Ranks get whole shards; what evens them out is the number of samples.

- How many samples each shard has is counted once for the job (`shards.counting`).
- The workers of one number, in all ranks, have a common target: the most samples that one of
  them has (``"pad"``), or the fewest (``"drop"``). It follows from the counts, the history of the
  epoch and the partition, so every rank finds the same one by itself; it is in the state, so
  that it stays as it was for the rest of the epoch.
- A worker gives exactly so many. Where its shards have less, also because some were skipped, it
  reads them again from the first one on, as padding; where they have more, ``"drop"`` leaves out
  the last ones. With ``"pad"`` more than the target means that a shard was counted wrongly: to
  drop samples then would lose them, so that is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Protocol, TypeVar

import torch

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import EqualStepsProgress, PositionProgress
from aisdatapipes.distributed.partition import Partition, Uneven
from aisdatapipes.distributed.world import World
from aisdatapipes.errors import BadArchiveError
from aisdatapipes.metrics.counters import ProcessCounters

__all__ = ["EqualSteps", "SupportsPadding"]

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class SupportsPadding(Protocol[_T_co]):
    """What reads one worker's slice, sample by sample."""

    def samples(self) -> Iterator[_T_co]:
        """Yield what is left, and move the worker's progress on."""
        ...

    def padding(self, positions: Iterable[int]) -> Iterator[_T_co]:
        """Yield all samples of some positions, and leave the progress where it is."""
        ...


class EqualSteps:
    """Finds the targets of workers, and keeps to them.

    Args:
        counts: Returns how many samples each position has.
        uneven: Whether samples are repeated or dropped; with ``"keep"`` there is no target.
    """

    def __init__(self, counts: Callable[[], Sequence[int]], uneven: Uneven) -> None:
        self._counts = counts
        self._uneven: Uneven = uneven

    def steps_for(
        self,
        left: torch.Tensor,
        partition: Partition,
        world: World,
        begun: Mapping[int, PositionProgress],
    ) -> EqualStepsProgress | None:
        """Return how many samples a worker is to give; None if that is up to each.

        Args:
            left: The positions that go to the workers.
            partition: How.
            world: The worker.
            begun: What was read of some of them before, by whichever worker.

        Raises:
            AISPipeError: The samples cannot be counted.
            ValueError: Some rank has none for a worker of this number, so all would be dropped.
        """
        if not self.are_needed(partition.world_size):
            return None
        counts = self._counts()
        ranks = [partition.worker(rank, world.worker) for rank in range(partition.world_size)]
        totals = [_total(counts, partition.slice(left, one).positions, begun) for one in ranks]
        most, fewest, own = max(totals), min(totals), totals[world.rank]
        if self._uneven == "pad":
            if most and not own:
                _logger.warning("no sample is left for %s, so it repeats those of others", world)
            return EqualStepsProgress("pad", most, own)
        if most and not fewest:
            raise ValueError(
                f"{len(left)} shards are too few for {partition.num_workers} workers in each of "
                f"{partition.world_size} ranks: uneven='drop' would drop all samples of worker "
                f"{world.worker}; use fewer workers, smaller shards or uneven='pad'"
            )
        return EqualStepsProgress("drop", fewest, own)

    def are_needed(self, world_size: int) -> bool:
        """Whether so many ranks have to agree on a number of samples."""
        return self._uneven != "keep" and world_size > 1

    def worker_sizes(self, epochs: Epochs, num_workers: int) -> list[int]:
        """Return how many samples each of so many workers of this rank gives in a whole epoch."""
        counts, evened = self._counts(), {"pad": max, "drop": min}.get(self._uneven)
        order, world = epochs.order(epochs.epoch), epochs.known_world(num_workers)
        partition = Partition(world.world_size, num_workers, uneven="keep")
        slices = (partition.slice(order, one) for one in partition.workers())
        totals = [_total(counts, own.positions, {}) for own in slices]
        by_worker = [totals[at :: world.world_size] for at in range(world.world_size)]
        of_ranks = zip(*by_worker, strict=True)
        return [evened(ranks) if evened else ranks[world.rank] for ranks in of_ranks]

    def vary(self, epochs: Epochs, num_workers: int) -> bool:
        """Whether workers may give other numbers of samples in another epoch."""
        is_alone = num_workers == epochs.known_world().world_size == 1
        return epochs.shuffle and not is_alone and len(set(self._counts())) > 1

    def evened(
        self, reader: SupportsPadding[_T], progress: Progress, counters: ProcessCounters
    ) -> Iterator[_T]:
        """Return the samples of a worker, as many as its target says.

        Raises:
            BadArchiveError: Its shards have more samples than were counted, and none may be
                dropped; or it has less, and no sample is there to be repeated.
        """
        steps = progress.equal_steps
        if progress.refusal or steps is None:
            return reader.samples()
        return self._evened(reader, progress, steps, counters)

    def _evened(
        self,
        reader: SupportsPadding[_T],
        progress: Progress,
        steps: EqualStepsProgress,
        counters: ProcessCounters,
    ) -> Generator[_T, None, None]:
        if not _drops_now(progress, steps):
            samples = reader.samples()
            for sample in samples:
                if progress.given == steps.target:
                    if steps.uneven == "pad":
                        raise _miscounted(progress)
                    counters.add("dropped", 1 + sum(1 for _ in samples))  # they were not counted
                    break
                progress.given += 1
                yield sample
                if _drops_now(progress, steps):
                    break
        if progress.given < steps.target:
            yield from self._padding(reader, progress, steps, counters)
        elif steps.uneven == "drop":
            _drop_rest(progress, steps, counters)

    def _padding(
        self,
        reader: SupportsPadding[_T],
        progress: Progress,
        steps: EqualStepsProgress,
        counters: ProcessCounters,
    ) -> Iterator[_T]:
        positions = progress.slice.positions.tolist(), range(len(self._counts()))
        with closing(_again(reader, positions)) as samples:
            for sample in islice(samples, progress.repeated, None):
                progress.given, progress.repeated = progress.given + 1, progress.repeated + 1
                counters.add("padding")
                yield sample
                if progress.given == steps.target:
                    return
        raise BadArchiveError(
            f"{progress.worker.world} has {progress.given} samples where all ranks have agreed on "
            f"{steps.target}, and there is none that could be repeated: see skipped_urls() for the "
            "shards that could not be read"
        )


def _total(
    counts: Sequence[int], positions: torch.Tensor, begun: Mapping[int, PositionProgress]
) -> int:
    done = {at: progress.samples for at, progress in begun.items()}
    return sum(max(counts[at] - done.get(at, 0), 0) for at in positions.tolist())


def _again(
    reader: SupportsPadding[_T], choices: Iterable[Iterable[int]]
) -> Generator[_T, None, None]:
    """Yield the samples of the first positions that have some, over and over."""
    for positions in choices:
        found = True
        while found:
            found = False
            for sample in reader.padding(positions):
                found = True
                yield sample


def _drops_now(progress: Progress, steps: EqualStepsProgress) -> bool:
    """Whether all that is left is to be dropped; if nothing is, reading on may find a fault."""
    is_less = steps.uneven == "drop" and steps.target < steps.available
    return is_less and progress.given == steps.target


def _drop_rest(progress: Progress, steps: EqualStepsProgress, counters: ProcessCounters) -> None:
    dropped = max(steps.available - steps.target, 0)
    if dropped and not progress.is_finished:
        counters.add("dropped", dropped)
        _logger.info(
            "%s dropped its last %d samples, to even out ranks", progress.worker.world, dropped
        )
    progress.finish_rest()


def _miscounted(progress: Progress) -> BadArchiveError:
    return BadArchiveError(
        f"the shards of {progress.worker.world} have more samples than were counted: a shard was "
        "replaced meanwhile, or the members of a sample are apart in it; pack such shards again "
        "with the members of each sample side by side, or read with uneven='keep'"
    )
