"""Which of the workers of a job a process is."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from collections.abc import Iterator

import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader, IterableDataset

from aisdatapipes.distributed.world import World, WorldDetector
from support.jobs import run_ranks

START_METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(autouse=True)
def no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear what the surroundings of the tests may say."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


class Worlds(IterableDataset):
    """Gives the worker that reads it."""

    def __init__(self, detector: WorldDetector) -> None:
        self.detector = detector

    def __iter__(self) -> Iterator[World]:
        yield self.detector.world()


def worlds(detector: WorldDetector, start_method: str | None, workers: int = 2) -> list[World]:
    """What a loader's workers are."""
    loader = DataLoader(
        Worlds(detector),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=start_method if workers else None,
    )
    return list(loader)


def all_worlds(world_size: int, workers: int) -> list[list[World]]:
    """What there should be, by rank."""
    return [
        [World(rank, world_size, worker, workers) for worker in range(workers)]
        for rank in range(world_size)
    ]


@pytest.mark.parametrize(("start_method", "workers"), [("fork", 2), ("forkserver", 2)])
def test_a_detector_made_before_the_group_is_right(start_method: str, workers: int) -> None:
    """One that a launcher made and pickled into the ranks knows them, in all their workers."""
    assert run_ranks(2, worlds, WorldDetector(), start_method, workers) == all_worlds(2, workers)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_the_environment_reaches_workers(
    monkeypatch: pytest.MonkeyPatch, start_method: str
) -> None:
    """RANK and WORLD_SIZE count where there is no group."""
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert worlds(WorldDetector(), start_method) == all_worlds(3, 2)[2]


def test_what_is_given_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit numbers overrule the environment, in workers too."""
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert worlds(WorldDetector(0, 2), "fork") == all_worlds(2, 2)[0]


def test_alone() -> None:
    """Without any of these it is one process alone."""
    assert WorldDetector().world() == World(0, 1, 0, 1)
    assert worlds(WorldDetector(), None, workers=0) == [World()]


def child_world(detector: WorldDetector, rank: str, queue: multiprocessing.Queue) -> None:
    """Be a rank that a launcher started with the detector in its pickle."""
    os.environ["RANK"], os.environ["WORLD_SIZE"] = rank, "2"
    queue.put((worlds(detector, None, workers=0), worlds(detector, "fork")))


def test_a_launchers_own_rank_is_not_handed_down() -> None:
    """The pickle that starts a rank says nothing about it, nor about its forked workers."""
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    process = context.Process(target=child_world, args=(WorldDetector(), "1", queue))
    process.start()
    alone, forked = queue.get(timeout=60)
    process.join()
    assert alone == [World(1, 2)]
    assert forked == all_worlds(2, 2)[1]


def group_and_copies() -> list[tuple[int, int]]:
    """The rank in a group, by copies of all kinds."""
    detector = WorldDetector()
    copies = [detector, copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    assert dist.get_world_size() == 2
    return [copied.rank() for copied in copies]


def test_the_group_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An initialised group knows best."""
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "9")
    assert run_ranks(2, group_and_copies) == [[(0, 2)] * 3, [(1, 2)] * 3]


@pytest.mark.parametrize(("rank", "world_size"), [(0, None), (None, 2), (2, 2), (-1, 2), (0, 0)])
def test_half_a_rank_is_refused(rank: int | None, world_size: int | None) -> None:
    """Both numbers or none, and they fit each other."""
    with pytest.raises(ValueError, match=f"rank {rank} of world size {world_size}"):
        WorldDetector(rank, world_size)


@pytest.mark.parametrize(("rank", "world_size"), [("1", ""), ("", "2"), ("3", "2"), ("x", "2")])
def test_a_bad_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, rank: str, world_size: str
) -> None:
    """Better no data than every rank all of it."""
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world_size)
    with pytest.raises(ValueError, match="RANK"):
        WorldDetector().world()


@pytest.mark.parametrize("numbers", [(1, 1, 0, 1), (0, 1, 2, 2), (-1, 1, 0, 1)])
def test_worlds_are_in_range(numbers: tuple[int, int, int, int]) -> None:
    """No worker is outside its job."""
    with pytest.raises(ValueError, match="no such worker"):
        World(*numbers)
