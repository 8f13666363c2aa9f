"""Shared files: one for a process and those that it starts, a copy for everybody else."""

from __future__ import annotations

import copy
import errno
import gc
import multiprocessing
import os
import pickle
import resource
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from aisdatapipes.processes.per_process import PerProcess
from aisdatapipes.processes.shared_file import SharedFile
from support.processes import open_files

START_METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, apart from what other programs leave behind."""
    root = tmp_path / "temporary"
    root.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root))
    return root


def run(start_method: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `work` returns in a process of its own."""
    context: Any = multiprocessing.get_context(start_method)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, work, *arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _send(sender: Connection, work: Callable[..., Any], *arguments: Any) -> None:
    sender.send(work(*arguments))


def shout(file: SharedFile, mapped_bytes: int) -> bytes:
    """Change a file by writing and, if asked to, through memory; return what was in it."""
    before = file.read()
    file.write(b"HELLO", 0)
    if mapped_bytes:
        file.mapped(mapped_bytes)[0] = ord("J")
    return before


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_child_has_the_same_file(start_method: str, root: Path) -> None:
    """What either writes the other reads, by calls and through memory; no name is anywhere."""
    file = SharedFile(b"hello, world")
    mapped = file.mapped(5)
    assert run(start_method, shout, file, 5) == b"hello, world"
    assert file.read() == b"JELLO, world"
    assert bytes(mapped) == b"JELLO"
    assert list(root.iterdir()) == []


class Nested:
    """Pickles its file by a pickle of its own, as the DataLoader does with pipes."""

    def __init__(self, file: SharedFile) -> None:
        self.file = file

    def __getstate__(self) -> bytes:
        return pickle.dumps(self.file)

    def __setstate__(self, state: bytes) -> None:
        self.file = pickle.loads(state)


def are_one(first: SharedFile, second: SharedFile, nested: Nested) -> bool:
    """Whether three references are to one object."""
    return first is second is nested.file


@pytest.mark.parametrize("start_method", START_METHODS)
def test_references_stay_references_to_one(start_method: str) -> None:
    """Parts of a dataset that share a file share it in a child, however they are pickled."""
    file = SharedFile()
    assert run(start_method, are_one, file, file, Nested(file))


class Copying:
    """Copies its file while a process is being started."""

    def __init__(self, file: SharedFile) -> None:
        self.file = file

    def __getstate__(self) -> dict[str, Any]:
        return {"file": copy.deepcopy(self.file)}


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_copy_made_at_the_start_of_a_child(start_method: str) -> None:
    """It takes the open file away from nobody."""
    file = SharedFile(b"hello")
    assert run(start_method, _read, Copying(file)) == b"hello"
    gc.collect()
    assert file.read() == b"hello"


def _read(copying: Copying) -> bytes:
    return copying.file.read()


def write_in_grandchild(file: SharedFile, start_methods: list[str]) -> None:
    """Write in a child of a child of ..."""
    if start_methods:
        run(start_methods[0], write_in_grandchild, file, start_methods[1:])
    else:
        file.write(b"J", 0)


@pytest.mark.parametrize(
    "start_methods",
    [["fork", "spawn"], ["forkserver", "fork"], ["forkserver", "spawn"]],
    ids="-".join,
)
def test_children_of_children_have_it(start_methods: list[str]) -> None:
    """Through any start methods, one after another."""
    file = SharedFile(b"hello")
    write_in_grandchild(file, start_methods)
    assert file.read() == b"Jello"


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda file: pickle.loads(pickle.dumps(file))]
)
def test_other_copies_are_independent(duplicate: Callable[[SharedFile], SharedFile]) -> None:
    """They have the content of their moment, outlive the original, and nothing of it changes."""
    original = SharedFile(b"hello")
    other = duplicate(original)
    original.write(b"J", 0)
    other.write(b"C", 0)
    assert (original.read(), other.read()) == (b"Jello", b"Cello")
    del original
    gc.collect()
    assert other.read() == b"Cello"


def test_reading_and_writing_in_parts() -> None:
    """What is past the end is not there, what is written past the end is added."""
    file = SharedFile(b"0123456789")
    assert file.read(3, 8) == b"89"
    assert file.read(offset=11) == b""
    file.write(b"ab", 9)
    file.append(b"cd")
    assert file.read(offset=8) == b"8abcd"
    assert file.size == 13


def test_the_open_file_is_closed_with_the_object() -> None:
    """Nothing has to be called."""
    before = open_files()
    file = SharedFile(b"hello")
    file.mapped(5)
    assert open_files() > before
    del file
    assert open_files() == before


def add_one(file: SharedFile, times: int) -> None:
    """Read, add and write, which needs a lock."""
    for _ in range(times):
        with file.locked():
            number = int.from_bytes(file.read(8), "little")
            file.write((number + 1).to_bytes(8, "little"), 0)


def add_in_threads(file: SharedFile, times: int) -> None:
    """Add in two threads of a process."""
    threads = [threading.Thread(target=add_one, args=(file, times)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_the_lock_keeps_processes_and_threads_apart(start_method: str) -> None:
    """Three processes of two threads each lose none of their additions."""
    file = SharedFile(bytes(8))
    context: Any = multiprocessing.get_context(start_method)
    processes = [context.Process(target=add_in_threads, args=(file, 300)) for _ in range(2)]
    for process in processes:
        process.start()
    add_in_threads(file, 300)
    for process in processes:
        process.join()
    assert int.from_bytes(file.read(), "little") == 3 * 2 * 300


def test_a_child_forked_under_the_lock_does_not_hold_it() -> None:
    """Neither for its parent nor, by the lock of its threads, for itself."""
    file = SharedFile(bytes(8))
    context = multiprocessing.get_context("fork")
    may_end = context.Event()
    with file.locked():
        idle = context.Process(target=may_end.wait)
        idle.start()
        busy = context.Process(target=add_one, args=(file, 1))
        busy.start()
    busy.join(30)
    add_one(file, 1)  # while the idle child lives
    may_end.set()
    idle.join()
    assert (busy.exitcode, idle.exitcode) == (0, 0)
    assert int.from_bytes(file.read(), "little") == 2


def lock_and_die(file: SharedFile) -> None:
    """End without letting go."""
    with file.locked():
        os._exit(1)


def test_the_lock_ends_with_its_process() -> None:
    """Be it killed."""
    file = SharedFile(bytes(8))
    process = multiprocessing.get_context("fork").Process(target=lock_and_die, args=(file,))
    process.start()
    process.join()
    add_one(file, 1)
    assert file.read() == (1).to_bytes(8, "little")


def hold_then_lock(held: SharedFile, wanted: SharedFile, holds: Any) -> None:
    """Hold a lock for a moment in one thread, and take the other one meanwhile in another."""

    def hold() -> None:
        with held.locked():
            holds.wait()
            threading.Event().wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()
    add_one(wanted, 1)
    holder.join()


def test_threads_that_wait_crosswise_are_no_deadlock() -> None:
    """The system takes them for one, as it knows processes only; each gets its lock."""
    first, second = SharedFile(bytes(8)), SharedFile(bytes(8))
    context = multiprocessing.get_context("fork")
    holds = context.Barrier(4)
    process = context.Process(target=hold_then_lock, args=(first, second, holds))
    process.start()
    hold_then_lock(second, first, holds)
    process.join()
    assert process.exitcode == 0
    assert [file.read()[0] for file in (first, second)] == [1, 1]


def claim_in_child(file: SharedFile, count: int) -> list[int | None]:
    """Claim one number more than there are."""
    return [file.claim(count) for _ in range(count + 1)]


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_claims_are_each_of_one_process(start_method: str) -> None:
    """A child does not inherit its parent's; at its end they are free again."""
    file = SharedFile()
    assert [file.claim(4), file.claim(4)] == [0, 1]
    assert run(start_method, claim_in_child, file, 4) == [2, 3, None, None, None]
    assert [file.claim(4), file.claim(4), file.claim(4)] == [2, 3, None]


def test_nothing_is_added_where_the_disk_is_full() -> None:
    """A line that does not fit is not there in part, for the next one to run into."""
    file = SharedFile(b"line\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            file.append(b"another line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read() == b"line\n"


_pids: PerProcess[int] = PerProcess(os.getpid)


def pid_here(value: PerProcess[int]) -> tuple[int, bool]:
    """Return the value, and whether it is right."""
    return value.get(), value.get() == os.getpid()


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_a_value_per_process(start_method: str) -> None:
    """Each makes its own, once; a child also of what its parent has made."""
    made = PerProcess(os.getpid)
    here = made.get()
    there, is_right = run(start_method, pid_here, made)
    assert is_right
    assert there != here == made.get()


def test_a_value_is_made_once_for_all_threads() -> None:
    """Others wait for the first one."""
    calls: list[int] = []

    def make() -> int:
        threading.Event().wait(0.05)
        calls.append(1)
        return len(calls)

    value, found = PerProcess(make), []
    threads = [threading.Thread(target=lambda: found.append(value.get())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 5


def test_a_failed_value_is_made_again() -> None:
    """Nothing is kept of the failure."""
    results = iter([1 / 1])
    value = PerProcess(lambda: next(results) / len(calls))
    calls: list[int] = []
    with pytest.raises(ZeroDivisionError):
        value.get()
    results, calls = iter([6.0]), [1, 1]
    assert value.get() == 3
