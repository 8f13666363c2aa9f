"""How an epoch's order goes to ranks and workers, as laws."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aisdatapipes.distributed.partition import Partition
from aisdatapipes.distributed.shuffling import epoch_order
from aisdatapipes.distributed.world import World

LAW = settings(deadline=None)
COUNTS = st.integers(0, 200)
UNEVEN = st.sampled_from(["pad", "drop", "keep"])


@st.composite
def partitions(draw: st.DrawFn, uneven: st.SearchStrategy[str] = UNEVEN) -> Partition:
    """Any partition."""
    sizes = [draw(st.integers(1, most)) for most in (5, 4, 7)]
    return Partition(*sizes, uneven=draw(uneven))  # pyright: ignore[reportArgumentType]


def order_of(count: int) -> torch.Tensor:
    """An order in which no position is at its own place by chance alone."""
    return epoch_order(count, seed=count, epoch=0, shuffle=True)


def slices(order: torch.Tensor, partition: Partition) -> dict[World, list[int]]:
    """What each worker gets."""
    return {one: partition.slice(order, one).positions.tolist() for one in partition.workers()}


def given_by(partition: Partition, order: torch.Tensor) -> list[int]:
    """What all workers get together."""
    return [position for own in slices(order, partition).values() for position in own]


def batches(own: list[int], size: int) -> list[list[int]]:
    """What a worker makes of its slice."""
    return [own[start : start + size] for start in range(0, len(own), size)]


@LAW
@given(COUNTS, partitions(st.just("keep")))
def test_kept_slices_are_disjoint_and_whole(count: int, partition: Partition) -> None:
    """With "keep" every position comes exactly once."""
    assert sorted(given_by(partition, order_of(count))) == list(range(count))


@LAW
@given(COUNTS, partitions(st.just("drop")))
def test_dropped_are_the_last_few(count: int, partition: Partition) -> None:
    """With "drop" all but the last positions, fewer than there are ranks, come exactly once."""
    order = order_of(count)
    kept = count - count % partition.world_size
    given_out = given_by(partition, order)
    assert sorted(given_out) == sorted(order[:kept].tolist())


@LAW
@given(COUNTS, partitions(st.just("pad")))
def test_padding_repeats_the_beginning(count: int, partition: Partition) -> None:
    """With "pad" every position comes, and the first ones of the order again, as few as needed."""
    order = order_of(count)
    given_out = Counter(given_by(partition, order))
    missing = -count % partition.world_size if count else 0
    again = [order[place % count].item() for place in range(missing)]
    assert given_out == Counter(order.tolist()) + Counter(again)


@LAW
@given(COUNTS, partitions(st.just("pad")))
def test_a_slice_says_what_is_padding(count: int, partition: Partition) -> None:
    """Without the padding at the end of slices, each position comes exactly once."""
    order = order_of(count)
    found = [partition.slice(order, one) for one in partition.workers()]
    own = [position for part in found for position in part.own.tolist()]
    assert sorted(own) == list(range(count))
    assert sum(part.padding for part in found) == (-count % partition.world_size if count else 0)


@LAW
@given(COUNTS, partitions(st.sampled_from(["pad", "drop"])), st.integers(1, 9))
def test_ranks_make_equally_many_batches(count: int, partition: Partition, size: int) -> None:
    """Whatever the loader's batch size, no rank waits for a batch that another has not."""
    steps = Counter()
    for one, own in slices(order_of(count), partition).items():
        steps[one.rank] += len(batches(own, size))
    assert len(set(steps.values())) <= 1


@LAW
@given(COUNTS, partitions())
def test_batches_do_not_depend_on_the_workers(count: int, partition: Partition) -> None:
    """With runs as long as the batches, workers taking turns make those of no worker at all."""
    order, size = order_of(count), partition.run
    alone = Partition(partition.world_size, 1, size, partition.uneven)
    for rank in range(partition.world_size):
        workers = [one for one in partition.workers() if one.rank == rank]
        made = [batches(slices(order, partition)[one], size) for one in workers]
        in_turns = [
            own[turn] for turn in range(max(map(len, made))) for own in made if turn < len(own)
        ]
        whole = alone.slice(order, World(rank, partition.world_size)).positions.tolist()
        assert in_turns == batches(whole, size)


@LAW
@given(COUNTS, partitions())
def test_the_size_of_a_rank_is_that_of_its_slices(count: int, partition: Partition) -> None:
    """What `len` is made of is what the workers of the rank read."""
    sizes = Counter()
    for one, own in slices(order_of(count), partition).items():
        sizes[one.rank] += len(own)
    expected = {rank: partition.rank_size(count, rank) for rank in range(partition.world_size)}
    assert {rank: sizes[rank] for rank in expected} == expected


@LAW
@given(COUNTS, partitions(st.just("drop")))
def test_what_is_dropped_is_told(count: int, partition: Partition) -> None:
    """`dropped` is what no rank gets."""
    assert partition.dropped(count) == count - len(given_by(partition, order_of(count)))


@LAW
@given(COUNTS, st.lists(partitions(), min_size=1, max_size=4), st.data())
def test_chains_of_stops_lose_nothing(
    count: int, chain: list[Partition], data: st.DataObject
) -> None:
    """Consumed before any of the stops, or remaining after the last: every position, once."""
    order = order_of(count)
    seen: list[int] = []
    for partition in chain:
        consumed = []
        for worker in partition.workers():
            found = partition.slice(order, worker)
            done = data.draw(st.integers(0, len(found.positions)), f"consumed by {worker}")
            seen += found.own[:done].tolist()
            consumed.append(done)
        before, order = order, partition.remaining(order, consumed)
        places = [before.tolist().index(position) for position in order.tolist()]
        assert places == sorted(places)
    assert sorted(seen + order.tolist()) == list(range(count))


def test_what_was_dropped_remains() -> None:
    """A stop at the end of all slices leaves what they did not have, for another world."""
    partition = Partition(2, uneven="drop")
    assert partition.remaining(torch.arange(5), [2, 2]).tolist() == [4]


def test_a_million_positions_are_partitioned_at_once() -> None:
    """Ordering, partitioning and resuming 1,000,000 objects takes well under a second."""
    began = time.perf_counter()
    order = epoch_order(1_000_000, seed=0, epoch=0, shuffle=True)
    partition = Partition(8, 4, 32)
    left = partition.remaining(order, [20_000] * 32)
    last = partition.slice(left, partition.workers()[-1])
    assert time.perf_counter() - began < 1
    assert len(left) == 1_000_000 - 20_000 * 32
    assert len(last.positions) == 32 * len(range(3, 45_000 // 32, 4))


@pytest.mark.parametrize(
    "wrong", [{"world_size": 0}, {"num_workers": 0}, {"run": 0}, {"uneven": "share"}]
)
def test_nonsense_is_refused(wrong: dict) -> None:
    """A number below 1, or a word that is no policy, is named."""
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Partition(**wrong)


@pytest.mark.parametrize(("rank", "worker"), [(2, 0), (0, 3), (-1, 0)])
def test_workers_that_are_not_there_are_refused(rank: int, worker: int) -> None:
    """Nobody reads the slice of a worker that does not exist."""
    with pytest.raises(ValueError, match="no such worker"):
        Partition(2, 3).worker(rank, worker)
