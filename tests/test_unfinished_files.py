"""Files that have their name once they are whole: what is there before, and after a kill."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from aisdatapipes.processes.unfinished_file import unfinished_file

WRITTEN = b"0" * 100_000


def write_and_die(path: Path) -> None:
    """Write a part of a file, and be killed."""
    with unfinished_file(path) as file:
        file.write(WRITTEN)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def write_often(path: Path, letter: bytes) -> None:
    """Write a file again and again, and read it."""
    for _ in range(100):
        with unfinished_file(path) as file:
            file.write(letter * 5000)
        content = path.read_bytes()
        assert content == content[:1] * 5000


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_what_a_killed_process_left_is_gone_with_the_next_one(tmp_path: Path) -> None:
    """It is written over, and has the file's name in the end; nobody has seen a part of it."""
    path = tmp_path / "o"
    path.write_bytes(b"before")
    killed = get_context("fork").Process(target=write_and_die, args=(path,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert path.read_bytes() == b"before"
    assert sorted(one.stat().st_size for one in tmp_path.iterdir()) == [6, len(WRITTEN)]
    with unfinished_file(path) as file:
        file.write(b"after")
    assert [one.name for one in tmp_path.iterdir()] == ["o"]
    assert path.read_bytes() == b"after"


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    """Two write the same file at the same time: each is whole, the last one stays."""
    path = tmp_path / "o"
    with unfinished_file(path) as first:
        first.write(b"first")
        with unfinished_file(path) as second:
            second.write(b"2")
        assert path.read_bytes() == b"2"
    assert path.read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["o"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_many_writers_of_one_file(tmp_path: Path) -> None:
    """Whoever reads it finds the content of one of them."""
    context = get_context("fork")
    path = tmp_path / "o"
    writers = [
        context.Process(target=write_often, args=(path, letter)) for letter in (b"a", b"b", b"c")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert [one.name for one in tmp_path.iterdir()] == ["o"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    """And nothing beside it."""
    path = tmp_path / "o"
    path.write_bytes(b"before")

    def fail() -> None:
        with unfinished_file(path) as file:
            file.write(b"after")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["o"]


@pytest.mark.parametrize("trap", ["symlink", "hardlink", "folder"])
def test_what_others_put_into_its_place_stays_as_it_is(tmp_path: Path, trap: str) -> None:
    """In a folder of many users the other name could lead to a file of this one."""
    path, victim = tmp_path / "o", tmp_path / "victim"
    victim.write_bytes(b"mine")
    with unfinished_file(path):
        (other,) = tmp_path.glob(".o.*.part")
    match trap:
        case "symlink":
            other.symlink_to(victim)
        case "hardlink":
            other.hardlink_to(victim)
        case _:
            other.mkdir()
    with unfinished_file(path) as file:
        file.write(b"content")
    assert (path.read_bytes(), victim.read_bytes()) == (b"content", b"mine")


def test_only_its_user_reads_what_is_private(tmp_path: Path) -> None:
    """As it is written too."""
    path = tmp_path / "o"
    with unfinished_file(path, mode=0o600) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600
