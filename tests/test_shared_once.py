"""Shared once: made by one process, had by all."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisdatapipes.distributed.shared_once import SharedOnce
from support.jobs import run_ranks


def slowly(path: Path) -> Callable[[], bytes]:
    """Return what makes the number of its process, and writes down that it was called."""

    def build() -> bytes:
        with path.open("a") as file:
            file.write("called\n")
        multiprocessing.Event().wait(0.3)
        return str(os.getpid()).encode()

    return build


def get(once: SharedOnce, path: Path, results: Any) -> None:
    """Get it in another process."""
    results.put(once.get(slowly(path)))


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_processes_share_it(tmp_path: Path, start: str) -> None:
    """Four at a time: one makes it, the others wait for it, and so does who comes later."""
    once, path = SharedOnce("number"), tmp_path / "calls"
    context: Any = multiprocessing.get_context(start)
    results = context.Queue()
    processes = [context.Process(target=get, args=(once, path, results)) for _ in range(4)]
    for process in processes:
        process.start()
    found = {results.get() for _ in processes}
    for process in processes:
        process.join()
    assert found == {once.get(slowly(path))} != {str(os.getpid()).encode()}
    assert path.read_text() == "called\n"


def test_a_child_forked_meanwhile_holds_nobody_up() -> None:
    """A process that is forked while another thread makes it does not keep the lock."""
    once, context = SharedOnce("number"), multiprocessing.get_context("fork")
    is_making, may_end = threading.Event(), context.Event()

    def build() -> bytes:
        is_making.set()
        may_end.wait(0.5)
        return b"made"

    maker = threading.Thread(target=once.get, args=(build,))
    maker.start()
    is_making.wait()
    child = context.Process(target=may_end.wait, args=(60,))
    child.start()
    maker.join()
    begun = time.monotonic()
    assert once.get(build) == b"made"
    assert time.monotonic() - begun < 5
    may_end.set()
    child.join()


def test_copies_have_what_was_made_before() -> None:
    """And make for themselves what was not; neither changes the other."""
    once = SharedOnce("number")
    early = copy.deepcopy(once)
    assert once.get(lambda: b"one") == b"one"
    late = pickle.loads(pickle.dumps(once))
    assert early.get(lambda: b"two") == b"two"
    assert late.get(lambda: b"three") == once.get(lambda: b"four") == b"one"


def test_a_failure_is_raised_and_tried_again() -> None:
    """Nothing is kept of it."""
    once = SharedOnce("number")

    def fail() -> bytes:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        once.get(fail)
    assert once.get(lambda: b"made") == once.get(fail) == b"made"


def test_nothing_is_something_too() -> None:
    """An empty result is kept like any other."""
    once = SharedOnce("number")
    assert once.get(bytes) == once.get(lambda: b"made") == b""


def made_in_rank(path: Path) -> bytes:
    """Make one in each rank, with the same key."""
    return SharedOnce("number").get(slowly(path))


def test_ranks_share_it(tmp_path: Path) -> None:
    """With a process group, one rank makes it for the others."""
    one, two = run_ranks(2, made_in_rank, tmp_path / "calls")
    assert one == two
    assert tmp_path.joinpath("calls").read_text() == "called\n"
