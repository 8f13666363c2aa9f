"""What a training process says reaches the workers that it starts, and nobody else."""

from __future__ import annotations

import copy
import itertools
import json
import multiprocessing
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import merge_states
from support.jobs import run_ranks
from support.numbers_dataset import Numbers

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    # On machines with fewer cores than the workers of a test.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

COUNT = 25
ALL = list(range(COUNT))
REST = ALL[10:]
START_METHODS = ["fork", "forkserver"]


def pickled(dataset: Numbers) -> Numbers:
    """A copy over pickle."""
    return pickle.loads(pickle.dumps(dataset))


def loaded(**options: Any) -> Numbers:
    """A dataset that has ten numbers behind it, for any workers."""
    before = Numbers(COUNT, **options)
    read(before, 10)
    dataset = Numbers(COUNT, **options)
    dataset.load_state_dict(merge_states(before.state_dict()))
    return dataset


def loader_of(
    dataset: Numbers, workers: int = 2, start: str = "fork", **options: Any
) -> DataLoader:
    """Return torch's loader, number by number."""
    return DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=start if workers else None,
        **options,
    )


def read(numbers: Any, most: int | None = None) -> list[int]:
    """The next ones of an iterable."""
    return [int(number) for number in itertools.islice(numbers, most)]


def order_of(epoch: int) -> list[int]:
    """The order of an epoch."""
    dataset = Numbers(COUNT, shuffle=True)
    dataset.set_epoch(epoch)
    return read(dataset)


@pytest.mark.parametrize("start", START_METHODS)
@pytest.mark.parametrize("persistent", [False, True])
def test_set_epoch_reaches_workers(start: str, persistent: bool) -> None:
    """Workers, persistent ones too, shuffle as the training process says."""
    dataset = Numbers(COUNT, shuffle=True)
    loader = loader_of(dataset, 2 if start == "fork" else 1, start, persistent_workers=persistent)
    epochs = (0, 2, 1) if start == "fork" or persistent else (2,)
    for epoch in epochs:
        dataset.set_epoch(epoch)
        assert read(loader) == order_of(epoch)


@pytest.mark.parametrize(("start", "workers"), [("fork", 0), ("fork", 2), ("forkserver", 2)])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_loaded_state_is_used_once(start: str, workers: int, persistent: bool) -> None:
    """The passes after it are whole epochs, whoever reads them."""
    dataset = loaded()
    loader = loader_of(dataset, workers, start, persistent_workers=persistent and workers > 0)
    assert [sorted(read(loader)) for _ in range(3)] == [REST, ALL, ALL]
    assert sorted(read(loader_of(dataset, 3))) == ALL
    assert read(dataset) == ALL


def test_spawned_workers_use_a_loaded_state_once() -> None:
    """As the others do."""
    loader = loader_of(loaded(), 1, "spawn", persistent_workers=True)
    assert [sorted(read(loader)) for _ in range(2)] == [REST, ALL]


@pytest.mark.parametrize("persistent", [False, True])
def test_the_same_seed_for_every_epoch(persistent: bool) -> None:
    """Who seeds torch again gives all passes the same workers' seeds; they are still told apart."""
    dataset = loaded()
    loader = loader_of(dataset, 3, persistent_workers=persistent)
    passes = []
    for _ in range(3):
        torch.manual_seed(1)
        passes.append(sorted(read(loader)))
    assert passes == [REST, ALL, ALL]


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_a_state_that_is_loaded_while_workers_wait(start: str) -> None:
    """Persistent workers resume it in their next pass, each time that one is loaded."""
    dataset = Numbers(COUNT)
    loader = loader_of(dataset, 2, start, persistent_workers=True)
    stopped = Numbers(COUNT)
    read(stopped, 10)
    state = merge_states(stopped.state_dict())
    assert sorted(read(loader)) == ALL
    for _ in range(2):
        dataset.load_state_dict(state)
        assert dataset.state_dict() == state
        assert [sorted(read(loader)) for _ in range(2)] == [REST, ALL]


def test_a_state_that_is_loaded_in_mid_pass() -> None:
    """It does not change the pass that goes on; the next one resumes."""
    dataset = Numbers(COUNT)
    stopped = Numbers(COUNT)
    read(stopped, 10)
    loader = loader_of(dataset, 2)
    numbers = iter(loader)
    found = read(numbers, 3)
    dataset.load_state_dict(merge_states(stopped.state_dict()))
    assert sorted(found + read(numbers)) == ALL
    assert [sorted(read(loader)) for _ in range(2)] == [REST, ALL]


def test_two_loaders_at_a_time() -> None:
    """All workers of one of them resume; those of the other one read the whole epoch."""
    for _ in range(3):
        dataset = loaded()
        iterators = [iter(loader_of(dataset, 2)) for _ in range(2)]
        assert sorted(sorted(read(one)) for one in iterators) == sorted([REST, ALL])
        assert sorted(read(loader_of(dataset, 2))) == ALL


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_has_what_was_said_before_it(copied: Callable[[Any], Any]) -> None:
    """Epoch and state; each of them is used once by the copy, in its workers too."""
    dataset = copied(loaded(shuffle=True))
    loader = loader_of(dataset, 2)
    dataset.set_epoch(0)
    assert sorted(read(loader)) == sorted(order_of(0)[10:])
    dataset.set_epoch(2)
    assert read(loader) == order_of(2)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_do_not_hear_of_each_other(copied: Callable[[Any], Any]) -> None:
    """Epoch, state and progress are of one dataset alone."""
    dataset = loaded()
    other = copied(dataset)
    loader, others = loader_of(dataset, 1), loader_of(other, 1)
    assert (read(loader), read(others)) == (REST, REST)
    dataset.set_epoch(3)
    assert (dataset.epochs.epoch, other.epochs.epoch) == (3, 0)
    read(dataset, 5)
    read(other, 7)
    assert dataset.state_dict()["worker"]["consumed"] == 5
    assert other.state_dict()["worker"]["consumed"] == 7


def test_a_copy_in_mid_pass() -> None:
    """It begins a pass of its own; the one that goes on is not disturbed."""
    dataset = loaded()
    numbers = iter(loader_of(dataset, 2))
    found = read(numbers, 4)
    other = copy.deepcopy(dataset)
    assert sorted(read(loader_of(other, 2))) == ALL
    assert sorted(found + read(numbers)) == REST


def read_in_rank(dataset: Numbers, workers: int) -> list[list[int]]:
    """Two epochs of a rank, of a dataset that the launcher made."""
    loader = loader_of(dataset, workers)
    passes = []
    for epoch in range(2):
        dataset.set_epoch(epoch)
        passes.append(read(loader))
    return passes


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_with_copies_of_one_dataset(workers: int) -> None:
    """Every rank resumes the state that was loaded before they were started, once."""
    ranks = run_ranks(2, read_in_rank, loaded(), workers)
    rests, wholes = zip(*ranks, strict=True)
    assert sorted(itertools.chain(*rests))[-len(REST) :] == REST  # and one for equal steps
    assert set(itertools.chain(*wholes)) == set(ALL)
    assert [len(whole) for whole in wholes] == [13, 13]


def spawned_rank(number: int, dataset: Numbers, path: str) -> None:
    """Be a process of torch.multiprocessing.spawn."""
    passes = [read(loader_of(dataset, 1, "fork")) for _ in range(2)]
    Path(path, f"{number}").write_text(json.dumps(passes))


def test_ranks_of_torchs_spawn(tmp_path: Path) -> None:
    """Each resumes, also if the launcher reads too."""
    dataset = loaded()
    spawned: Any = torch.multiprocessing.spawn(  # pyright: ignore[reportPrivateImportUsage]
        spawned_rank, (dataset, str(tmp_path)), nprocs=2, join=False
    )
    assert read(dataset) == REST
    while not spawned.join():
        pass
    for number in range(2):
        assert json.loads((tmp_path / f"{number}").read_text()) == [REST, ALL]


def forked_rank(dataset: Numbers, queue: Any) -> None:
    """Be a forked rank."""
    queue.put([read(dataset), sorted(read(loader_of(dataset, 2)))])


def test_forked_ranks() -> None:
    """Each resumes, also if the launcher has begun meanwhile."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    dataset = loaded()
    ranks = [context.Process(target=forked_rank, args=(dataset, queue)) for _ in range(3)]
    for rank in ranks:
        rank.start()
    assert read(dataset) == REST
    assert [queue.get() for _ in ranks] == [[REST, ALL]] * 3
    for rank in ranks:
        rank.join()


@pytest.mark.parametrize("start", ["fork", "forkserver"])
@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_do_not_repeat_what_the_launcher_has_read(start: str, workers: int) -> None:
    """A state that its own pass, or its workers, have used is not handed down."""
    dataset = loaded()
    assert sorted(read(loader_of(dataset, workers))) == REST
    dataset.set_epoch(0)
    context: Any = multiprocessing.get_context(start)
    queue = context.SimpleQueue()
    rank = context.Process(target=forked_rank, args=(dataset, queue))
    rank.start()
    assert queue.get() == [ALL, ALL]
    rank.join()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loaders_state_goes_before_that_of_the_dataset(workers: int) -> None:
    """A worker that gets its own resumes that, and never the one that was loaded for all."""
    before = StatefulDataLoader(Numbers(COUNT), batch_size=None, num_workers=workers)
    found = read(iter(before), 6)
    loader = StatefulDataLoader(loaded(), batch_size=None, num_workers=workers)
    loader.load_state_dict(before.state_dict())
    assert sorted(found + read(loader)) == ALL
    assert sorted(read(loader)) == ALL


def test_a_state_is_cheap_to_ask_for() -> None:
    """In the training process, in less than 0.2 ms, also after workers have had a big one."""
    stopped = [Numbers(10_000, rank, 200) for rank in range(200)]
    states = [one.state_dict() for one in stopped if read(one, 1 + int(one.epochs.world().rank))]
    dataset = Numbers(10_000)
    dataset.load_state_dict(merge_states(states))
    read(loader_of(dataset, 2))
    read(dataset, 100)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        dataset.state_dict()
        took.append(time.perf_counter() - began)
    assert min(took) < 2e-4
