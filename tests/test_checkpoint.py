"""The typed state: saved and loaded as laws, merged for other worlds, refused where it is wrong."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aisdatapipes.checkpoint.merging import merge_states
from aisdatapipes.checkpoint.progress import Progress, remaining
from aisdatapipes.checkpoint.state import (
    Checkpoint,
    EqualStepsProgress,
    PastStop,
    RowProgress,
    RunIdentity,
    ShardOffset,
    ShardProgress,
    WorkerProgress,
)
from aisdatapipes.distributed.partition import Partition
from aisdatapipes.distributed.shuffling import epoch_order
from aisdatapipes.errors import StateMismatchError

LAW = settings(deadline=None)
BUFFER = 512
RUN = Checkpoint(RunIdentity("Numbers", "data", shuffle=True, shuffle_buffer=BUFFER), 0, "x")
PARTITION = Partition(2, 2)

NUMBERS = st.integers(0, 2**40)
OFFSETS = st.none() | NUMBERS
PARTITIONS = st.builds(
    Partition,
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(["pad", "drop", "keep"]),
)
BLOCKS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3).map(lambda pairs: sum(pairs, ()))
SHARDS = st.builds(
    lambda given, buffered, *where: ShardProgress(given, given + buffered, *where),
    *(st.integers(0, 2**31), st.integers(0, BUFFER), st.none() | st.integers(2**41, 2**42), BLOCKS),
)
ROWS = st.builds(
    RowProgress,
    NUMBERS,
    st.lists(st.builds(ShardOffset, NUMBERS, NUMBERS, OFFSETS), max_size=3).map(tuple),
)
STEPS = st.builds(
    EqualStepsProgress, st.sampled_from(["pad", "drop"]), NUMBERS, NUMBERS, NUMBERS, NUMBERS
)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    """Any state, of a worker or of a run as a whole."""
    partition = draw(PARTITIONS)
    one = draw(st.sampled_from(partition.workers()))
    worker = WorkerProgress(partition, one.rank, one.worker, draw(NUMBERS), draw(st.none() | STEPS))
    pairs = st.lists(st.tuples(NUMBERS, NUMBERS)).map(tuple)
    stop = st.builds(PastStop, PARTITIONS, pairs, pairs)
    return Checkpoint(
        RunIdentity(
            draw(st.text()), draw(st.text()), draw(st.integers()), draw(st.booleans()), BUFFER
        ),
        draw(NUMBERS),
        draw(st.text()),
        tuple(draw(st.lists(stop, max_size=3))),
        draw(st.dictionaries(NUMBERS, SHARDS | ROWS, max_size=3)),
        draw(st.none() | st.just(worker)),
    )


def paths(value: Any, above: tuple = ()) -> list[tuple]:
    """Return the ways to all parts of plain data."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in parts:
        found.append((*above, key))
        if isinstance(part, (dict, list)):
            found += paths(part, (*above, key))
    return found


def progresses(order: torch.Tensor, partition: Partition, run: Checkpoint) -> list[Progress]:
    """Where all workers of a run begin."""
    left = remaining(order, run)
    return [
        Progress(
            run,
            WorkerProgress(partition, one.rank, one.worker),
            partition.slice(left, one),
            run.begun,
        )
        for one in partition.workers()
    ]


def states(**changes: Any) -> list[dict[str, Any]]:
    """Those of a run of two ranks with two workers, in the middle of an epoch."""
    begun = progresses(torch.arange(20), PARTITION, RUN)
    for number, progress in enumerate(begun):
        progress.consumed = number
    return [{**progress.checkpoint().to_dict(), **changes} for progress in begun]


@LAW
@given(checkpoints())
def test_a_state_is_its_checkpoint_again(checkpoint: Checkpoint) -> None:
    """Over JSON too nothing is lost or changed."""
    state = checkpoint.to_dict()
    again = json.loads(json.dumps(state))
    assert again == state
    assert Checkpoint.from_dict(again) == checkpoint


@LAW
@given(checkpoints(), st.data())
def test_a_state_without_one_of_its_parts_is_refused(
    checkpoint: Checkpoint, data: st.DataObject
) -> None:
    """No part is replaced by a default, which would lose or repeat samples."""
    state = json.loads(json.dumps(checkpoint.to_dict()))
    *above, key = data.draw(st.sampled_from([path for path in paths(state) if "begun" not in path]))
    part = state
    for step in above:
        part = part[step]
    if not isinstance(part, dict):  # a stop less is a state of another moment
        return
    del part[key]
    with pytest.raises(StateMismatchError, match=r": give what state_dict\(\)"):
        Checkpoint.from_dict(state)


@LAW
@given(checkpoints(), st.data(), st.sampled_from(["3", -1, 0.5, True, [], {"a": 1}]))
def test_a_number_that_is_none_is_refused(
    checkpoint: Checkpoint, data: st.DataObject, wrong: Any
) -> None:
    """Every number of progress is a count."""
    state = json.loads(json.dumps({**checkpoint.to_dict(), "seed": "", "shuffle": ""}))
    names = ("version", "shuffle_buffer")
    numbers = [path for path in paths(state) if path[0] not in names and _is_number(state, path)]
    *above, key = data.draw(st.sampled_from(numbers))
    part = state
    for step in above:
        part = part[step]
    part[key] = wrong
    with pytest.raises(StateMismatchError, match=r"the state was changed after it was saved \("):
        Checkpoint.from_dict(state)


def _is_number(state: Any, path: tuple) -> bool:
    for step in path:
        state = state[step]
    return type(state) is int


@pytest.mark.parametrize("wrong", [{}, {"epoch": 1}, [], None, "state", {"version": 2}])
def test_what_is_no_state_is_refused(wrong: Any) -> None:
    """The message says what would be one."""
    with pytest.raises(
        StateMismatchError, match=r"no state of a dataset.*give what state_dict\(\)"
    ):
        Checkpoint.from_dict(wrong)


@pytest.mark.parametrize("wrong", [0, "", [], {}, False])
def test_equal_steps_that_are_empty_are_refused(wrong: Any) -> None:
    """Only None says that there are none."""
    (state, *_) = states()
    state["worker"]["equal_steps"] = wrong
    with pytest.raises(StateMismatchError, match="the state was changed after it was saved"):
        Checkpoint.from_dict(state)


def test_ranges_without_an_end_are_refused() -> None:
    """What is buffered lies between pairs of borders."""
    (state, *_) = states()
    state["begun"] = {"0": [1, 4, 1024, [0, 2, 1], "", 0]}
    with pytest.raises(StateMismatchError, match="3 borders of what is buffered make no pairs"):
        Checkpoint.from_dict(state)


def test_a_state_of_an_older_version_is_refused() -> None:
    """As the first releases saved it; the message names both versions and what to do."""
    old = {
        "version": 1,
        "dataset": "AISIterDataset",
        "manifest": "data",
        "seed": 0,
        "shuffle": False,
        "epoch": 0,
        "order": "x",
        "deals": [],
        "dealing": {"world_size": 1, "num_workers": 1, "run": 1, "uneven": "pad"},
        "lane": [0, 0],
        "consumed": 3,
        "partial": {},
    }
    match = "of version 1, here it is 3: load it with the release of aisdatapipes that saved it, or"
    with pytest.raises(StateMismatchError, match=match):
        Checkpoint.from_dict(old)
    with pytest.raises(StateMismatchError, match=match):
        merge_states(old)


@LAW
@given(
    st.integers(0, 150),
    st.lists(PARTITIONS, min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_chain_of_runs_gives_everything_once(count: int, runs: list[Partition], random) -> None:
    """Ranks and workers change at every stop; what is consumed or left is everything, once."""
    order = epoch_order(count, seed=0, epoch=0, shuffle=True)
    seen: list[int] = []
    run = RUN
    for partition in runs:
        workers = progresses(order, partition, run)
        for progress in workers:
            progress.consumed = random.randint(0, len(progress.slice.positions))
            seen += progress.slice.own[: progress.consumed].tolist()
        taken = [progress.checkpoint().to_dict() for progress in workers]
        random.shuffle(taken)
        run = Checkpoint.from_dict(merge_states(json.loads(json.dumps(taken))))
    assert sorted(seen + remaining(order, run).tolist()) == list(range(count))


def test_what_was_begun_stays_with_what_remains() -> None:
    """What was read of a shard goes to the worker that gets its rest; padding counts not."""
    first, second = progresses(torch.arange(7), Partition(2), RUN)
    assert [first.slice.padding, second.slice.padding] == [0, 1]
    done = ShardProgress(5, 5, 5120)
    first.finish(0)
    first.begin(2, _Reading(done))
    for position in (1, 3, 5):
        second.finish(position)
    second.begin(0, _Reading(ShardProgress(1, 1, 512)))
    run = Checkpoint.from_dict(
        merge_states([one.checkpoint().to_dict() for one in (first, second)])
    )
    later = progresses(torch.arange(7), Partition(2), run)
    assert [one.left() for one in later] == [[2, 6], [4, 2]]  # 0, 1, 3 and 5 are done
    assert [one.begun(2) for one in later] == [done, None]


class _Reading:
    """What has read so much of a position."""

    def __init__(self, done: ShardProgress) -> None:
        self._done = done

    def progress(self) -> ShardProgress:
        """How much."""
        return self._done


def test_states_are_found_in_those_of_loaders() -> None:
    """At any depth, in lists of ranks, in any order."""
    one, two, three, four = states()
    nested = [{"snapshot": {"workers": [four, {"state": two}]}}, (three, [one])]
    assert merge_states(nested) == merge_states(one, two, three, four)


def test_merging_again_changes_nothing() -> None:
    """The state of a whole run is one already, and ranks may all bring it."""
    merged = merge_states(states())
    assert merge_states(merged) == merge_states(merged, merged) == merged


def test_a_missing_worker_is_named() -> None:
    """Without one of them, some of what was consumed would come again."""
    with pytest.raises(StateMismatchError, match="no state of rank 1 of 2, worker 1 of 2 among"):
        merge_states(states()[:3])


def test_a_worker_that_comes_twice_is_named() -> None:
    """As if two ranks had written to one file."""
    with pytest.raises(StateMismatchError, match="two states of rank 0 of 2, worker 0 of 2"):
        merge_states(states(), states()[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", 1),
        ("seed", 5),
        ("history", [{"partition": vars(PARTITION), "consumed": [[4, 1]], "turns": [[4, 0]]}]),
        ("dataset", "AISShardReader"),
        ("shuffle_buffer", 7),
    ],
)
def test_two_runs_are_not_mixed(name: str, value: Any) -> None:
    """The message names what differs, and both values."""
    with pytest.raises(StateMismatchError, match=f"different runs: {name} is ") as caught:
        merge_states(states()[:3], states(**{name: value})[3])
    assert repr(value) in str(caught.value)


def test_two_worlds_are_not_mixed() -> None:
    """States of a run with two workers and of one with a single one are of different moments."""
    other = progresses(torch.arange(20), Partition(2, 1), RUN)[0].checkpoint().to_dict()
    with pytest.raises(
        StateMismatchError, match=r"different runs: partition is .* at the same step"
    ):
        merge_states(states(), other)


def test_a_whole_run_is_no_worker() -> None:
    """A merged state among those of workers is refused."""
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


def test_states_of_many_restarts_are_small() -> None:
    """Ten restarts of 64 ranks with 8 workers each fit into 10 KB, as JSON."""
    order = torch.arange(100_000)
    run = RUN
    for restart in range(10):
        workers = progresses(order, Partition(64, 8 + restart % 2, 32), run)
        for progress in workers:
            progress.consumed = 10 + progress.worker.worker % 2
        run = Checkpoint.from_dict(merge_states([one.checkpoint().to_dict() for one in workers]))
    assert len(json.dumps(run.to_dict())) < 10_000


def begun_shard(ranges: int) -> ShardProgress:
    """Return a shard of gigabytes in its middle, with so many ranges in its shuffle buffer."""
    blocks = tuple(100 + number * 7919 % 900 for number in range(2 * ranges))
    return ShardProgress(123_456, 123_967, 9_876_543_210, blocks)


@pytest.mark.parametrize("ranges", [0, 256])
def test_states_of_many_begun_shards_are_small(ranges: int) -> None:
    """64 workers, each in the middle of a shard with a full shuffle buffer, fit into 10 KB."""
    partition = Partition(8, 8, uneven="keep")
    steps = EqualStepsProgress("pad", 100_000, 90_000, 50_000, 0)
    taken = []
    for number, one in enumerate(partition.workers()):
        worker = WorkerProgress(partition, one.rank, one.worker, number % 5, steps)
        begun = {100_000 + number: begun_shard(ranges)}
        taken.append(replace(RUN, begun=begun, worker=worker).to_dict())
    assert len(json.dumps(taken[0])) < 10_000
    assert len(json.dumps(merge_states(taken))) < 10_000


@LAW
@given(st.lists(st.integers(1, 300), min_size=2, max_size=600))
def test_joined_ranges_have_all_that_was_buffered(numbers: list[int]) -> None:
    """Merging may read samples between those of the buffer again; it leaves out none of them."""
    blocks = tuple(numbers[: len(numbers) // 2 * 2])
    worker = WorkerProgress(Partition(), 0, 0)
    begun = {at: ShardProgress(1, 1, 512, blocks) for at in range(20)}
    merged = merge_states(replace(RUN, begun=begun, worker=worker).to_dict())
    for done in Checkpoint.from_dict(merged).begun.values():
        assert isinstance(done, ShardProgress)
        after = done.buffered
        assert len(after) <= 2 * 20
        assert sum(after) == sum(blocks)
        assert after[0] == blocks[0]
        assert _blocks_in(after) >= _blocks_in(blocks)
        assert _begins(after) <= _begins(blocks)


def _blocks_in(steps: tuple[int, ...]) -> set[int]:
    borders = [sum(steps[:end]) for end in range(1, len(steps) + 1)]
    return {one for at in range(0, len(steps), 2) for one in range(borders[at], borders[at + 1])}


def _begins(steps: tuple[int, ...]) -> set[int]:
    return {sum(steps[: at + 1]) for at in range(0, len(steps), 2)}


def test_a_state_costs_little_with_every_batch() -> None:
    """Workers say theirs each time: it is made in less than 0.1 ms."""
    worker = WorkerProgress(PARTITION, 1, 1, 7, EqualStepsProgress("pad", 9, 8))
    checkpoint = replace(RUN, begun={3: begun_shard(256)}, worker=worker)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        checkpoint.to_dict()
        took.append(time.perf_counter() - began)
    assert min(took) < 1e-4
