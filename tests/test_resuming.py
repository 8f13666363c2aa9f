"""Merging the states of a run, as laws, and what cannot be merged."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aisdatapipes.distributed.partition import Dealing
from aisdatapipes.distributed.shuffling import epoch_order
from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.epochs.resuming import REPEATED, merge_states, undealt
from aisdatapipes.errors import StateMismatchError

FIELDS = {
    "version": 1,
    "dataset": "Numbers",
    "manifest": "data",
    "seed": 0,
    "shuffle": True,
    "epoch": 0,
    "order": "x",
}
LAW = settings(deadline=None)
RUN = Dealing(2, 2)


def cursors(order: torch.Tensor, dealing: Dealing, deals: list[dict[str, Any]]) -> list[Cursor]:
    """Where all lanes of a run begin."""
    left = undealt(order, deals)
    fields = {**FIELDS, "deals": deals}
    return [Cursor.of_lane(fields, left, dealing, lane) for lane in dealing.lanes()]


def states(**changes: Any) -> list[dict[str, Any]]:
    """Those of a run of two ranks with two workers, in the middle of an epoch."""
    begun = cursors(torch.arange(20), RUN, [])
    for number, cursor in enumerate(begun):
        cursor.consumed = number
    return [{**cursor.state(), **changes} for cursor in begun]


@LAW
@given(
    st.integers(0, 150),
    st.lists(
        st.builds(
            Dealing,
            st.integers(1, 4),
            st.integers(1, 4),
            st.integers(1, 5),
            st.sampled_from(["pad", "drop", "keep"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_any_chain_of_runs_gives_everything_once(count: int, runs: list[Dealing], random) -> None:
    """Ranks and workers change at every stop; what is consumed or left is everything, once."""
    order = epoch_order(count, seed=0, epoch=0, shuffle=True)
    seen: list[int] = []
    merged: dict[str, Any] = {"deals": []}
    for dealing in runs:
        lanes = cursors(order, dealing, merged["deals"])
        for cursor in lanes:
            size = len(cursor.share.positions)
            cursor.consumed = random.randint(0, size)
            is_others = cursor.share.repeats_last and cursor.consumed == size
            seen += cursor.share.positions[: cursor.consumed - is_others].tolist()
        taken = [cursor.state() for cursor in lanes]
        random.shuffle(taken)
        merged = merge_states(json.loads(json.dumps(taken)))
    assert sorted(seen + undealt(order, merged["deals"]).tolist()) == list(range(count))


@LAW
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_lanes_state_is_where_it_was(count: int, consumed: int) -> None:
    """A cursor made of the state of another is the same, also after other runs."""
    order = torch.arange(count)
    merged = merge_states([cursor.state() for cursor in cursors(order, RUN, [])])
    for cursor in cursors(order, Dealing(3), merged["deals"]):
        cursor.consumed = min(consumed, len(cursor.share.positions))
        again = Cursor.of_state(json.loads(json.dumps(cursor.state())), order)
        assert again.left == cursor.left
        assert again.state() == cursor.state()


def test_parts_stay_with_what_remains() -> None:
    """What was read of a shard goes to the lane that gets its rest; repeated ones count not."""
    begun = cursors(torch.arange(7), Dealing(2), [])
    assert [cursor.share.repeats_last for cursor in begun] == [False, True]
    begun[0].consumed, begun[0].partial = 1, {"2": {"members": 5}}
    begun[1].consumed, begun[1].partial = 3, {REPEATED: {"members": 1}}
    merged = merge_states([cursor.state() for cursor in begun])
    assert merged["partial"] == {"2": {"members": 5}}
    later = cursors(torch.arange(7), Dealing(2), merged["deals"])
    for cursor in later:
        cursor.take_parts(merged["partial"])
    assert [cursor.left for cursor in later] == [[2, 6], [4, 2]]  # 1, 3, 5 and 0 are done with
    assert [cursor.partial for cursor in later] == [{"2": {"members": 5}}, {}]


def test_states_are_found_in_those_of_loaders() -> None:
    """At any depth, in lists of ranks, in any order."""
    one, two, three, four = states()
    nested = [{"snapshot": {"workers": [four, {"state": two}]}}, (three, [one])]
    assert merge_states(nested) == merge_states(one, two, three, four)


def test_merging_again_changes_nothing() -> None:
    """The state of a whole run is one already, and ranks may all bring it."""
    merged = merge_states(states())
    assert merge_states(merged) == merge_states(merged, merged) == merged


def test_a_missing_lane_is_named() -> None:
    """Without one of them, some of what was consumed would come again."""
    with pytest.raises(StateMismatchError, match="no state of rank 1 of 2, worker 1 of 2 among"):
        merge_states(states()[:3])


def test_a_lane_that_comes_twice_is_named() -> None:
    """As if two ranks had written to one file."""
    with pytest.raises(StateMismatchError, match="two states of rank 0 of 2, worker 0 of 2"):
        merge_states(states(), states()[0])


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 5}, {"deals": [1]}, {"dealing": {}}])
def test_two_runs_are_not_mixed(change: dict) -> None:
    """The message names what differs, and both values."""
    name, value = next(iter(change.items()))
    with pytest.raises(StateMismatchError, match=f"different runs: {name} is ") as caught:
        merge_states(states()[:3], states(**change)[3])
    assert repr(value) in str(caught.value)


def test_a_whole_run_is_no_lane() -> None:
    """A merged state among those of lanes is refused."""
    merged = merge_states(states())
    with pytest.raises(StateMismatchError, match="different runs"):
        merge_states(states()[:3], merged)


def test_an_older_snapshot_is_refused() -> None:
    """A loader that takes snapshots only now and then has given out more than its state says."""
    with pytest.raises(StateMismatchError, match=r"given out 3 batches.*snapshot_every_n_steps=1"):
        merge_states({"_steps_since_snapshot": 3, "_snapshot": states()})


def test_nothing_to_merge() -> None:
    """An empty list says what is expected."""
    with pytest.raises(StateMismatchError, match="no state of a dataset"):
        merge_states([], {})


def test_states_are_small() -> None:
    """Ten restarts of 64 ranks with 8 workers each fit into 10 KB, as JSON."""
    order = torch.arange(100_000)
    merged: dict[str, Any] = {"deals": []}
    for restart in range(10):
        lanes = cursors(order, Dealing(64, 8 + restart % 2, 32), merged["deals"])
        for cursor in lanes:
            cursor.consumed = 10 + cursor.fields["lane"][1] % 2
        merged = merge_states([cursor.state() for cursor in lanes])
    assert len(json.dumps(merged)) < 10_000
