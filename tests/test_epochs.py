"""Epochs: slices, states that stop and resume, and those that are refused."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import merge_states
from aisdatapipes.errors import StateMismatchError
from support.numbers_dataset import Numbers

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    # On machines with fewer cores than the workers of a test.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

COUNT = 25
ALL = list(range(COUNT))


def stateful(dataset: Numbers, workers: int, **options: Any) -> StatefulDataLoader:
    """The loader that has a state, number by number."""
    return StatefulDataLoader(dataset, batch_size=None, num_workers=workers, **options)


def read(numbers: Any, most: int | None = None) -> list[int]:
    """The next ones of an iterable."""
    return [int(number) for number in itertools.islice(numbers, most)]


def resume(state: dict[str, Any]) -> list[int]:
    """What comes after that state."""
    dataset = Numbers(COUNT)
    dataset.load_state_dict(state)
    return read(dataset)


def stopped(**options: Any) -> dict[str, Any]:
    """The state after 10 of the numbers."""
    dataset = Numbers(COUNT, **options)
    read(dataset, 10)
    return dataset.state_dict()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_state_resumes_where_it_was_saved(shuffle: bool) -> None:
    """The rest comes in the order in which it would have come, and so does the next epoch."""
    whole = Numbers(COUNT, shuffle=shuffle)
    dataset = Numbers(COUNT, shuffle=shuffle)
    dataset.load_state_dict(stopped(shuffle=shuffle))
    assert read(dataset) == read(whole)[10:]
    assert read(dataset) == read(whole)


def test_a_state_before_anything_is_that_of_the_start() -> None:
    """It resumes to everything, in every rank, also after it was loaded itself."""
    start = Numbers(COUNT).state_dict()
    dataset = Numbers(COUNT, 0, 2)
    dataset.load_state_dict(start)
    assert dataset.state_dict() == start
    assert merge_states(start, start) == start
    assert read(dataset) == ALL[::2]


def test_a_pass_that_begins_again_begins_its_state_again() -> None:
    """``iter`` alone is enough: loaders ask for the state before the first item."""
    dataset = Numbers(COUNT)
    read(dataset, 10)
    iter(dataset)
    assert dataset.state_dict()["worker"]["consumed"] == 0


def test_a_loaded_state_brings_its_epoch() -> None:
    """Who does not count epochs goes on from that of the state."""
    before = Numbers(COUNT, shuffle=True)
    before.set_epoch(3)
    expected = [read(before), read(before)]
    before.set_epoch(3)
    read(before, 10)
    dataset = Numbers(COUNT, shuffle=True)
    dataset.load_state_dict(before.state_dict())
    assert dataset.epochs.epoch == 3
    assert [read(dataset), read(dataset)] == [expected[0][10:], expected[1]]


def test_set_epoch_does_not_pass_over_what_is_left() -> None:
    """A state in the middle of another epoch is refused, not thrown away."""
    dataset = Numbers(COUNT)
    dataset.load_state_dict(stopped())
    dataset.set_epoch(1)
    with pytest.raises(StateMismatchError, match="epoch 0, here it is 1: call set_epoch"):
        read(dataset)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_after_an_epochs_end_comes_the_next(workers: int, persistent: bool) -> None:
    """A loader's state of the end of an epoch gives the whole of the one that is set next."""
    options = {"persistent_workers": persistent and workers > 0}
    dataset = Numbers(COUNT, shuffle=True)
    loader = stateful(dataset, workers, **options)
    read(loader)
    state = loader.state_dict()
    dataset.set_epoch(1)
    expected = read(loader)
    again = Numbers(COUNT, shuffle=True)
    resumed = stateful(again, workers, **options)
    resumed.load_state_dict(state)
    again.set_epoch(1)
    assert read(resumed) == expected
    assert sorted(read(resumed)) == ALL


def passes(dataset: Any, times: int = 3) -> list[list[int]]:
    """What some passes in a row give."""
    return [read(dataset) for _ in range(times)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_every_pass_is_an_epoch(workers: int, persistent: bool) -> None:
    """Of one rank, in whatever workers: as if `set_epoch` had counted; from where it was set."""
    by_hand, dataset = Numbers(COUNT, shuffle=True), Numbers(COUNT, shuffle=True)
    loaders = [
        DataLoader(
            one,
            batch_size=None,
            num_workers=workers,
            persistent_workers=persistent and workers > 0,
        )
        for one in (by_hand, dataset)
    ]
    expected = []
    for epoch in range(6):
        by_hand.set_epoch(epoch)
        expected.append(read(loaders[0]))
    assert passes(loaders[1]) == expected[:3]
    dataset.set_epoch(2)
    assert passes(loaders[1]) == expected[2:5]
    assert len(set(map(tuple, expected))) == 6


def test_a_new_seed_for_every_pass_is_not_needed() -> None:
    """Who seeds torch before each pass gives workers the same seeds; the passes still differ."""
    loader = DataLoader(Numbers(COUNT, shuffle=True), batch_size=None, num_workers=2)
    orders = []
    for _ in range(3):
        torch.manual_seed(1)
        orders.append(tuple(read(loader)))
    assert len(set(orders)) == 3


def test_loaders_side_by_side_agree_in_themselves() -> None:
    """Two loaders of one dataset, read in turn: each gives everything once, in every pass."""
    dataset = Numbers(COUNT, shuffle=True)
    loaders = [DataLoader(dataset, batch_size=None, num_workers=workers) for workers in (2, 2, 3)]
    for _ in range(2):
        found = zip(*loaders, strict=True)
        assert [sorted(map(int, numbers)) for numbers in zip(*found, strict=True)] == [ALL] * 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_rank_may_look_more_often_than_the_others(workers: int) -> None:
    """Of several ranks everything comes once, however often one began a pass; and in new orders."""
    ranks = [Numbers(COUNT, rank, 3, shuffle=True, uneven="keep") for rank in range(3)]
    loaders = [DataLoader(one, batch_size=None, num_workers=workers) for one in ranks]
    seen = []
    for looks in (0, 1, 2):
        for _ in range(looks):
            next(iter(loaders[0]))
        found = [read(loader) for loader in loaders]
        assert sorted(itertools.chain(*found)) == ALL
        seen.append(tuple(map(tuple, found)))
    assert len(set(seen)) == 3


@pytest.mark.parametrize("turns", [0, 1, 4])
@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_turns_stop_and_resume(turns: int, uneven: str) -> None:
    """In any turn, with as many ranks, or merged with others: everything comes once."""
    options: dict[str, Any] = {"shuffle": True, "uneven": uneven}
    ranks = [Numbers(COUNT, rank, 2, **options) for rank in range(2)]
    for number, one in enumerate(ranks):
        passes(one, turns + number)
    got = [read(one, 3 + number) for number, one in enumerate(ranks)]
    states = [one.state_dict() for one in ranks]
    again = [Numbers(COUNT, rank, 2, **options) for rank in range(2)]
    for one, state in zip(again, states, strict=True):
        one.load_state_dict(state)
    wholes = [read(one) for one in ranks]
    rest = [read(one) for one in again]
    owned = COUNT - (uneven == "drop")
    assert len({*itertools.chain(*got, *rest)}) == owned
    assert wholes == [read(one) for one in again]
    others = [Numbers(COUNT, rank, 3, **{**options, "uneven": "keep"}) for rank in range(3)]
    for one in others:
        one.load_state_dict(merge_states(*states))
    assert sorted(itertools.chain(*got, *map(read, others))) == ALL


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("stop", [0, 1, 7, 24, 25])
def test_a_loaders_state_resumes(workers: int, stop: int) -> None:
    """Every number comes once, in the same order, with whatever workers."""
    expected = read(stateful(Numbers(COUNT, shuffle=True), workers))
    loader = stateful(Numbers(COUNT, shuffle=True), workers)
    iterator = iter(loader)
    got = read(iterator, stop)
    state = loader.state_dict()
    resumed = stateful(Numbers(COUNT, shuffle=True), workers)
    resumed.load_state_dict(state)
    assert got + read(resumed) == expected


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3), (3, 2), (2, 0), (0, 2)])
def test_another_number_of_workers(before: int, after: int) -> None:
    """A merged state gives the rest once to whatever workers; the next state holds it too."""
    loader = stateful(Numbers(COUNT), before)
    got = read(iter(loader), 9)
    for workers in (after, before):
        dataset = Numbers(COUNT)
        dataset.load_state_dict(merge_states(loader.state_dict()))
        loader = stateful(dataset, workers)
        got += read(iter(loader), 6)
    dataset = Numbers(COUNT)
    dataset.load_state_dict(merge_states(loader.state_dict()))
    assert sorted(got + read(dataset)) == ALL


def test_states_that_are_not_merged_are_refused() -> None:
    """A worker of another number of them says so, rather than read something twice."""
    loader = stateful(Numbers(COUNT), 2)
    read(iter(loader), 5)
    other = stateful(Numbers(COUNT), 1)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(StateMismatchError, match="merge_states"):
        read(other)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("manifest", {"fingerprint": "others"}),
        ("seed", {"seed": 1}),
        ("shuffle", {"shuffle": True}),
    ],
)
def test_a_state_of_something_else_is_refused(field: str, other: dict) -> None:
    """The message names the field, both values and what to do."""
    values = {"manifest": ("data", "others"), "seed": (0, 1), "shuffle": (False, True)}[field]
    with pytest.raises(StateMismatchError) as caught:
        Numbers(COUNT, **other).load_state_dict(stopped())
    expected = f"the state is of {field} {values[0]!r}, here it is {values[1]!r}: make the dataset"
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 1}, "version 1, here it is 3: load it with the release"),
        ({"dataset": "AISShardReader"}, "'AISShardReader', here it is 'Numbers'"),
        ({"order": "0"}, "shuffle with the torch"),
        ({"worker": {"consumed": 26}}, "26 of 25 positions"),
        ({"worker": {"consumed": -1}}, "-1 is no count"),
        ({"worker": {"rank": 1}}, "no such worker"),
        (
            {
                "worker": {
                    "partition": {"world_size": 1, "num_workers": 1, "run": 8, "uneven": "pad"}
                }
            },
            "merge_states",
        ),
    ],
)
def test_a_changed_state_is_refused(change: dict, match: str) -> None:
    """Nothing is read by a state that cannot be of this dataset."""
    state = stopped()
    worker = {**state["worker"], **change.get("worker", {})}
    state = {**state, **change, "worker": worker}
    with pytest.raises(StateMismatchError, match=match) as caught:
        resume(state)
    assert isinstance(caught.value, ValueError)


def test_what_is_no_state_is_refused() -> None:
    """The message says what would be one."""
    with pytest.raises(
        StateMismatchError, match=r"no state of a dataset.*: give what state_dict\(\)"
    ):
        Numbers(COUNT).load_state_dict({"epoch": 1})


def test_what_is_dropped_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One rank says how many are left out."""
    with caplog.at_level(logging.INFO, "aisdatapipes"):
        slices = [read(Numbers(COUNT, rank, 2, uneven="drop")) for rank in range(2)]
    assert slices == [ALL[:24:2], ALL[1:24:2]]
    assert [record.getMessage() for record in caplog.records] == [
        "dropped the last 1 of 25, to even out ranks"
    ]


def test_the_rank_size_is_what_a_rank_reads() -> None:
    """With padding, both ranks have 13 of 25."""
    for rank in range(2):
        dataset = Numbers(COUNT, rank, 2)
        assert len(read(dataset)) == sum(dataset.epochs.worker_sizes(2)) == 13


def test_negative_epochs_are_refused() -> None:
    """Epochs count from 0."""
    with pytest.raises(ValueError, match="-1"):
        Numbers(COUNT).set_epoch(-1)


def test_a_state_of_another_uneven_is_refused() -> None:
    """A worker's slice depends on it; the message says what to do."""
    dataset = Numbers(COUNT, uneven="drop")
    dataset.load_state_dict(stopped())
    with pytest.raises(StateMismatchError, match="of uneven 'pad', here it is 'drop': make"):
        read(dataset)


def test_a_whole_run_may_have_another_uneven() -> None:
    """What remains of a merged state goes to the workers in whatever way."""
    merged = merge_states(stopped())
    slices = []
    for rank in range(2):
        dataset = Numbers(COUNT, rank, 2, uneven="drop")
        dataset.load_state_dict(merged)
        slices.append(read(dataset))
    assert slices == [ALL[10:24:2], ALL[11:24:2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_that_a_worker_refuses_is_raised_once(workers: int) -> None:
    """By its first item; the pass after that is a whole epoch."""
    other = stateful(Numbers(COUNT, seed=1), workers)
    read(iter(other), 4)
    loader = stateful(Numbers(COUNT), workers, persistent_workers=True)
    loader.load_state_dict(other.state_dict())
    with pytest.raises(StateMismatchError, match="of seed 1, here it is 0: make the dataset with"):
        read(loader)
    assert sorted(read(loader)) == ALL
