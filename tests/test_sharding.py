"""Dealing an epoch's order to lanes, as laws."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aisdatapipes.distributed.partition import Dealing, remaining
from aisdatapipes.distributed.shuffling import epoch_order
from aisdatapipes.distributed.world import Lane

LAW = settings(deadline=None)
COUNTS = st.integers(0, 200)
UNEVEN = st.sampled_from(["pad", "drop", "keep"])


@st.composite
def dealings(draw: st.DrawFn, uneven: st.SearchStrategy[str] = UNEVEN) -> Dealing:
    """Any way to deal."""
    sizes = [draw(st.integers(1, most)) for most in (5, 4, 7)]
    return Dealing(*sizes, uneven=draw(uneven))  # pyright: ignore[reportArgumentType]


def order_of(count: int) -> torch.Tensor:
    """An order in which no position is at its own place by chance alone."""
    return epoch_order(count, seed=count, epoch=0, shuffle=True)


def shares(order: torch.Tensor, dealing: Dealing) -> dict[Lane, list[int]]:
    """What each lane gets."""
    return {lane: dealing.share(order, lane).positions.tolist() for lane in dealing.lanes()}


def dealt_by(dealing: Dealing, order: torch.Tensor) -> list[int]:
    """What all lanes get together."""
    return [position for share in shares(order, dealing).values() for position in share]


def batches(share: list[int], size: int) -> list[list[int]]:
    """What a worker makes of its share."""
    return [share[start : start + size] for start in range(0, len(share), size)]


@LAW
@given(COUNTS, dealings(st.just("keep")))
def test_kept_shares_are_disjoint_and_whole(count: int, dealing: Dealing) -> None:
    """With "keep" every position comes exactly once."""
    order = order_of(count)
    dealt = dealt_by(dealing, order)
    assert sorted(dealt) == list(range(count))


@LAW
@given(COUNTS, dealings(st.just("drop")))
def test_dropped_are_the_last_few(count: int, dealing: Dealing) -> None:
    """With "drop" all but the last positions, fewer than there are ranks, come exactly once."""
    order = order_of(count)
    kept = count - count % dealing.world_size
    dealt = dealt_by(dealing, order)
    assert sorted(dealt) == sorted(order[:kept].tolist())


@LAW
@given(COUNTS, dealings(st.just("pad")))
def test_padding_repeats_the_beginning(count: int, dealing: Dealing) -> None:
    """With "pad" every position comes, and the first ones of the order again, as few as needed."""
    order = order_of(count)
    dealt = Counter(dealt_by(dealing, order))
    missing = -count % dealing.world_size if count else 0
    again = [order[place % count].item() for place in range(missing)]
    assert dealt == Counter(order.tolist()) + Counter(again)


@LAW
@given(COUNTS, dealings(st.just("pad")))
def test_a_share_says_when_its_last_is_another_ones(count: int, dealing: Dealing) -> None:
    """Without the last positions that are marked as repeated, each comes exactly once."""
    order = order_of(count)
    own: list[int] = []
    for lane in dealing.lanes():
        share = dealing.share(order, lane)
        own += share.positions[: -1 if share.repeats_last else None].tolist()
    assert sorted(own) == list(range(count))


@LAW
@given(COUNTS, dealings(st.sampled_from(["pad", "drop"])), st.integers(1, 9))
def test_ranks_make_equally_many_batches(count: int, dealing: Dealing, size: int) -> None:
    """Whatever the loader's batch size, no rank waits for a batch that another has not."""
    steps = Counter()
    for lane, share in shares(order_of(count), dealing).items():
        steps[lane.rank] += len(batches(share, size))
    assert len(set(steps.values())) <= 1


@LAW
@given(COUNTS, dealings())
def test_batches_do_not_depend_on_the_workers(count: int, dealing: Dealing) -> None:
    """With runs as long as the batches, workers taking turns make those of no worker at all."""
    order, size = order_of(count), dealing.run
    alone = Dealing(dealing.world_size, 1, size, dealing.uneven)
    for rank in range(dealing.world_size):
        lanes = [lane for lane in dealing.lanes() if lane.rank == rank]
        made = [batches(shares(order, dealing)[lane], size) for lane in lanes]
        in_turns = [
            lane_batches[turn]
            for turn in range(max(map(len, made)))
            for lane_batches in made
            if turn < len(lane_batches)
        ]
        whole = alone.share(order, Lane(rank, dealing.world_size)).positions.tolist()
        assert in_turns == batches(whole, size)


@LAW
@given(COUNTS, dealings())
def test_the_size_of_a_rank_is_that_of_its_shares(count: int, dealing: Dealing) -> None:
    """What `len` is made of is what the workers of the rank read."""
    sizes = Counter()
    for lane, share in shares(order_of(count), dealing).items():
        sizes[lane.rank] += len(share)
    expected = {rank: dealing.rank_size(count, rank) for rank in range(dealing.world_size)}
    assert {rank: sizes[rank] for rank in expected} == expected


@LAW
@given(COUNTS, st.lists(dealings(), min_size=1, max_size=4), st.data())
def test_chains_of_stops_lose_nothing(
    count: int, chain: list[Dealing], data: st.DataObject
) -> None:
    """Consumed before any of the stops, or remaining after the last: every position, once."""
    order = order_of(count)
    seen: list[int] = []
    for dealing in chain:
        consumed = []
        for lane in dealing.lanes():
            share = dealing.share(order, lane)
            done = data.draw(st.integers(0, len(share.positions)), f"consumed by {lane}")
            own = done - (share.repeats_last and done == len(share.positions))
            seen += share.positions[:own].tolist()
            consumed.append(done)
        before, order = order, remaining(order, dealing, consumed)
        places = [before.tolist().index(position) for position in order.tolist()]
        assert places == sorted(places)
    assert sorted(seen + order.tolist()) == list(range(count))


def test_a_million_positions_are_dealt_at_once() -> None:
    """Ordering, dealing and taking up 1,000,000 objects takes well under a second."""
    began = time.perf_counter()
    order = epoch_order(1_000_000, seed=0, epoch=0, shuffle=True)
    dealing = Dealing(8, 4, 32)
    left = remaining(order, dealing, [20_000] * 32)
    share = dealing.share(left, dealing.lanes()[-1])
    assert time.perf_counter() - began < 1
    assert len(left) == 1_000_000 - 20_000 * 32
    assert len(share.positions) == 32 * len(range(3, 45_000 // 32, 4))


@pytest.mark.parametrize(
    "wrong", [{"world_size": 0}, {"num_workers": 0}, {"run": 0}, {"uneven": "share"}]
)
def test_nonsense_is_refused(wrong: dict) -> None:
    """A number below 1, or a word that is no policy, is named."""
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Dealing(**wrong)
