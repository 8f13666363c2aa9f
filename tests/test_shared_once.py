"""Shared once: made by one process, had by all."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

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


def get(once: SharedOnce, path: Path) -> bytes:
    """Get it in another process."""
    return once.get(slowly(path))


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_processes_share_it(tmp_path: Path, start: str) -> None:
    """Four at a time: one makes it, the others wait for it, and so does who comes later."""
    once, path = SharedOnce("number"), tmp_path / "calls"
    with multiprocessing.get_context(start).Pool(4) as pool:
        results = pool.starmap(get, [(once, path)] * 4, chunksize=1)
    assert set(results) == {get(once, path)} != {str(os.getpid()).encode()}
    assert path.read_text() == "called\n"


def test_a_failure_is_raised_and_tried_again() -> None:
    """Nothing is kept of it."""
    once = SharedOnce("number")

    def fail() -> bytes:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        once.get(fail)
    assert once.get(lambda: b"made") == once.get(fail) == b"made"


def folders() -> set[Path]:
    """Return the folders that there are."""
    return set(Path(tempfile.gettempdir()).glob("aisdatapipes-once-*"))


def test_the_file_goes_with_it() -> None:
    """Only this user can look at it while it is there."""
    before = folders()
    once = SharedOnce("number")
    assert once.get(lambda: b"made") == b"made"
    (folder,) = folders() - before
    assert folder.stat().st_mode & 0o777 == 0o700
    del once
    assert not folder.exists()


def made_in_rank(path: Path) -> bytes:
    """Make one in each rank, with the same key."""
    return SharedOnce("number").get(slowly(path))


def test_ranks_share_it(tmp_path: Path) -> None:
    """With a process group, one rank makes it for the others."""
    one, two = run_ranks(2, made_in_rank, tmp_path / "calls")
    assert one == two
    assert tmp_path.joinpath("calls").read_text() == "called\n"
