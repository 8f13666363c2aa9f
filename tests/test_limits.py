"""Where the machine has no more room or files, readers work on, or say which limit it is."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISFileLoader, AISIterDataset, AISMapDataset
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.processes.shared_file import SharedFile
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

COUNT = 100


@pytest.fixture(scope="module")
def bucket(ais_cluster: LocalCluster, put_object: PutObject):
    """A bucket of some objects."""
    bucket = ais_cluster.client().bucket("limits").create()
    for number in range(COUNT):
        put_object(bucket, f"{number:03d}", bytes(1000))
    yield bucket
    bucket.delete()


def outcome(
    limit: int, most: int, work: Callable[..., object], *args: object, method: str = "fork"
) -> str:
    """Return what comes of work in a process of its own, under a limit of the system.

    Open files and memory are counted beside what the process has from the start.
    """
    context: Any = get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=_limited, args=(there, limit, most, work, *args))
    process.start()
    assert here.poll(60), "it hangs"
    said = here.recv()
    process.join()
    return said


def _limited(ends: Connection, limit: int, most: int, work: Callable, *args: object) -> None:
    if limit == resource.RLIMIT_NOFILE:
        highest = max(map(int, os.listdir("/dev/fd")))  # noqa: PTH208
        while os.open(os.devnull, os.O_RDONLY) <= highest:
            pass  # so that no number is free below it
        most += highest + 2
    if limit == resource.RLIMIT_AS:
        most += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
    try:
        ends.send(str(work(*args)))
    except Exception as error:  # noqa: BLE001 - that is what is to be seen
        ends.send(f"{type(error).__name__}: {error}")


def pipe(endpoint: str, workers: int) -> int:
    """Read by pipes."""
    urls = AISFileLister(["ais://limits/"], endpoint).sharding_filter()
    loader = DataLoader(AISFileLoader(urls, endpoint), None, num_workers=workers)
    return sum(1 for _ in loader)


def by_index(endpoint: str, workers: int) -> int:
    """Read by a map dataset."""
    dataset = AISMapDataset(urls_list="ais://limits/", client_url=endpoint)
    loader = DataLoader(dataset, 10, num_workers=workers, collate_fn=len)
    return sum(loader)


def in_order(endpoint: str, workers: int) -> int:
    """Read by an iterable dataset."""
    dataset = AISIterDataset(urls_list="ais://limits/", client_url=endpoint)
    return sum(1 for _ in DataLoader(dataset, None, num_workers=workers))


def hold(endpoint: str, workers: int) -> int:  # noqa: ARG001
    """Read all that is big, and keep it."""
    pipe = AISFileLoader(AISFileLister(["ais://big-ones/"], endpoint), endpoint)
    return len([stream.read() for _, stream in pipe])


def hold_a_batch(endpoint: str, workers: int) -> int:  # noqa: ARG001
    """Read it at once."""
    dataset = AISMapDataset(urls_list="ais://big-ones/", client_url=endpoint)
    return len(dataset.__getitems__(list(range(len(dataset)))))


def cat_all(endpoint: str, workers: int) -> int:  # noqa: ARG001
    """Read files at once."""
    return len(AISFileSystem(endpoint).cat("big-ones", recursive=True))


def cat(endpoint: str, workers: int) -> int:
    """Read files."""
    return len(AISFileSystem(endpoint, concurrency=8 + workers).cat("limits", recursive=True))


@pytest.mark.usefixtures("bucket")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("read", [pipe, by_index, in_order, cat])
def test_few_open_files_are_enough(ais_cluster: LocalCluster, read: Callable, workers: int) -> None:
    """Those of a process under ``ulimit -n 64``."""
    assert outcome(resource.RLIMIT_NOFILE, 64, read, ais_cluster.endpoint, workers) == str(COUNT)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("read", [pipe, cat])
def test_no_more_open_files_is_said_at_once(ais_cluster: LocalCluster, read: Callable) -> None:
    """It is no outage of the cluster, that would be waited for."""
    said = outcome(resource.RLIMIT_NOFILE, 0, read, ais_cluster.endpoint, 0)
    assert "Too many open files" in said


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("read", [pipe, by_index, in_order, cat])
def test_no_room_for_temporary_files(ais_cluster: LocalCluster, read: Callable) -> None:
    """The error names the folder, and what to do."""
    said = outcome(resource.RLIMIT_FSIZE, 4096, read, ais_cluster.endpoint, 0)
    assert f"nothing can be written to {tempfile.gettempdir()}: free some room" in said
    assert "set TMPDIR to another folder" in said


@pytest.mark.parametrize("read", [hold, hold_a_batch, cat_all])
def test_little_memory(ais_cluster: LocalCluster, put_object: PutObject, read: Callable) -> None:
    """At once, and the error says what takes it; none of it counts as an object that failed."""
    bucket = ais_cluster.client().bucket("big-ones").create(exist_ok=True)
    for number in range(10):
        put_object(bucket, f"{number}", bytes(2**23))
    # A fork of this process could use what others have left.
    said = outcome(resource.RLIMIT_AS, 2**24, read, ais_cluster.endpoint, 0, method="forkserver")
    bucket.delete()
    assert said.startswith("MemoryError: no memory to read on: up to 67,108,864 bytes are asked")


def test_an_append_without_room_leaves_what_was_there() -> None:
    """All of it, or nothing."""
    assert "TMPDIR" in outcome(resource.RLIMIT_FSIZE, 4096, append_too_much)


def append_too_much() -> None:
    """Append more than may be there."""
    file = SharedFile(b"x")
    try:
        file.append(bytes(5000))
    finally:
        assert file.read() == b"x"
