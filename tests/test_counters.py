"""Counters: what all processes of a pipe have counted, each thing once."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import resource
from collections.abc import Callable
from typing import Any

import pytest

from aisdatapipes.metrics.counters import Counters, SharedCounters, counting, increment
from support.processes import open_files

START_METHODS = ["fork", "spawn", "forkserver"]


def count_some(counters: SharedCounters, number: int) -> None:
    """Count an object of `number` bytes, a retry, and a skipped one."""
    ours = counters.of_this_process()
    ours.add_object(number, 0.25, 0.5)
    ours.skip(f"ais://b/{number} ü\n")
    with counting(ours):
        increment("retries", 2)


def run_many(start_method: str, work: Callable[..., Any], *arguments: tuple) -> None:
    """Run `work` at the same time in a process for each of some arguments."""
    context: Any = multiprocessing.get_context(start_method)
    processes = [context.Process(target=work, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.parametrize("start_method", START_METHODS)
def test_children_count_into_their_parents(start_method: str) -> None:
    """By whatever way they are started, and beside what the parent counts itself."""
    counters = SharedCounters()
    count_some(counters, 1)
    run_many(start_method, count_some, (counters, 2), (counters, 3))
    assert counters.total() == Counters(
        objects=3, bytes=6, retries=6, skipped=3, cluster_s=0.75, consumer_s=1.5
    )
    assert sorted(counters.skipped_urls()) == [f"ais://b/{number} ü\n" for number in (1, 2, 3)]


def count_in_children(counters: SharedCounters, children: int) -> None:
    """Count in many processes that do not live long, four at a time."""
    for _ in range(children // 4):
        run_many("fork", count_some, *[(counters, 1)] * 4)


def test_many_short_lived_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """More processes than there are slots: each goes on where an earlier one ended."""
    monkeypatch.setattr("aisdatapipes.metrics.counters._SLOTS", 6)
    counters = SharedCounters()
    count_some(counters, 1)
    run_many("fork", count_in_children, (counters, 40))
    count_in_children(counters, 40)
    assert counters.total().objects == counters.total().bytes == 81
    assert len(counters.skipped_urls()) == 81


def refused_beside_others(counters: SharedCounters) -> None:
    """Expect no room in a process that comes last."""
    with pytest.raises(RuntimeError, match="more than 2 processes read one pipe: start fewer"):
        counters.of_this_process()


def without_room(counters: SharedCounters) -> None:
    """Take the last slot and let another process fail."""
    counters.of_this_process()
    run_many("fork", refused_beside_others, (counters,))


def test_too_many_processes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is counted in a wrong place; the error says what to do."""
    monkeypatch.setattr("aisdatapipes.metrics.counters._SLOTS", 2)
    counters = SharedCounters()
    counters.of_this_process()
    run_many("fork", without_room, (counters,))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda counters: pickle.loads(pickle.dumps(counters))]
)
def test_copies_begin_at_zero(duplicate: Callable[[SharedCounters], SharedCounters]) -> None:
    """A copy is of another pipe: neither counts what the other does, or did."""
    original = SharedCounters()
    count_some(original, 1)
    other = duplicate(original)
    assert other.total() == Counters()
    assert other.skipped_urls() == []
    count_some(other, 5)
    count_some(original, 1)
    assert (original.total().bytes, other.total().bytes) == (2, 5)
    assert len(pickle.dumps(original)) < 200


class Nested:
    """Pickles counters by a pickle of its own, as the DataLoader does with pipes."""

    def __init__(self, counters: SharedCounters) -> None:
        self.counters = counters

    def __getstate__(self) -> bytes:
        return pickle.dumps(self.counters)

    def __setstate__(self, state: bytes) -> None:
        self.counters = pickle.loads(state)


def count_by_all(first: SharedCounters, *others: Nested) -> None:
    """Count by several references to the same counters."""
    for counters in (first, *(other.counters for other in others)):
        count_some(counters, 1)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_parts_of_a_pipe_count_together(start_method: str) -> None:
    """In a child too, where they come by several pickles."""
    counters = SharedCounters()
    run_many(start_method, count_by_all, (counters, Nested(counters), Nested(counters)))
    assert counters.total().objects == 3


def test_a_full_disk_is_an_error() -> None:
    """It comes when the counters are made, and not as a signal when they are used."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = open_files()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            SharedCounters()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert open_files() == before


def test_the_former_name_of_dropped() -> None:
    """What was called left_out is still there by that name."""
    counters = SharedCounters()
    counters.of_this_process().add("dropped", 3)
    assert counters.total().left_out == counters.total().dropped == 3
