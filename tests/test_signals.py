"""A training process that is told to end, or killed, ends soon and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISFileLoader, AISIterDataset
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Stall
from support.faults import FaultProxy
from support.processes import becomes, is_alive

SOON_S = 4
"""Less than a stalled cluster would take, or torch's workers whose parent is gone: 5 s at least."""

DATASETS = {
    "dataset": lambda url, endpoint: AISIterDataset(urls_list=url, client_url=endpoint),
    "pipe": lambda url, endpoint: AISFileLoader(
        AISFileLister([url], endpoint).sharding_filter(), endpoint
    ),
}


# Python ignores a Ctrl-C that strikes while it frees a stream of torch's, so the loop has none.
COLLATE = {"dataset": list, "pipe": lambda pairs: [str(name) for name, _ in pairs]}


def train(
    kind: str, url: str, endpoint: str, workers: int, method: str | None, said: str, out: Connection
) -> None:
    """Read for ever, in a session of processes, and tell when that has begun."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    os.environ["TMPDIR"] = os.path.dirname(said)  # noqa: PTH120
    loader = DataLoader(
        DATASETS[kind](url, endpoint),
        batch_size=4,
        collate_fn=COLLATE[kind],
        num_workers=workers,
        multiprocessing_context=method,
        persistent_workers=workers > 0,
    )
    while True:
        for _ in loader:
            out.send(None)


def errors_of(said: Path) -> int:
    """Return how many errors a process and its workers told, but for those that Python ignored."""
    told = said.read_text()
    return told.count("Traceback") - told.count("Exception ignored in")


def processes_of(session: int) -> list[int]:
    """Return the IDs of the processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with suppress(ProcessLookupError):  # it has just ended
            found += [pid] if os.getsid(pid) == session and is_alive(pid) else []
    return found


@contextmanager
def training(
    kind: str, bucket: Bucket, endpoint: str, said: Path, workers: int, method: str | None
) -> Iterator[int]:
    """A training process that reads, by its ID; in the end neither it nor a child is there."""
    context = get_context("forkserver")
    here, there = context.Pipe(duplex=False)
    arguments = kind, f"ais://{bucket.name}/", endpoint, workers, method, os.fspath(said), there
    process = context.Process(target=train, args=arguments)
    process.start()
    there.close()
    assert process.pid
    try:
        for _ in range(workers + 1):
            assert here.poll(60), said.read_text()
            here.recv()
        yield process.pid
        process.join(SOON_S)
        assert process.exitcode
        assert becomes(lambda: processes_of(process.pid or 0) == [], SOON_S)
    finally:
        for pid in processes_of(process.pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket of forty objects: more than fits into the pipes between processes."""
    for number in range(40):
        put_object(ais_bucket, f"{number:02d}", bytes(50_000))
    return ais_bucket


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("kind", "workers", "method"),
    [("dataset", 0, None), ("pipe", 4, "fork"), ("dataset", 4, "fork")],
)
def test_a_signal_ends_all(
    bucket: Bucket,
    ais_cluster: LocalCluster,
    tmp_path: Path,
    kind: str,
    workers: int,
    method: str | None,
    number: signal.Signals,
) -> None:
    """The process, its workers and what they have in the temporary folder are gone."""
    said = tmp_path / "said"
    with training(kind, bucket, ais_cluster.endpoint, said, workers, method) as pid:
        # A terminal sends a Ctrl-C to all.
        (os.killpg if number == signal.SIGINT else os.kill)(pid, number)
    assert errors_of(said) == (number == signal.SIGINT)
    assert list(tmp_path.iterdir()) == [said]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_spawned_workers_end_too(
    bucket: Bucket, ais_cluster: LocalCluster, tmp_path: Path, method: str
) -> None:
    """They wait for their parent as those do that were forked."""
    said = tmp_path / "said"
    with training("dataset", bucket, ais_cluster.endpoint, said, 1, method) as pid:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("kind", "workers", "method"), [("dataset", 0, None), ("pipe", 2, "fork")])
def test_a_ctrl_c_does_not_wait_for_the_cluster(
    bucket: Bucket, faults: FaultProxy, tmp_path: Path, kind: str, workers: int, method: str | None
) -> None:
    """Where it has stopped to answer, the processes end as soon as where it answers."""
    said = tmp_path / "said"
    stall = Stall(None, seconds=60, times=None)
    with training(kind, bucket, faults.endpoint, said, workers, method) as pid, faults.rule(stall):
        time.sleep(0.3)
        os.killpg(pid, signal.SIGINT)
        assert becomes(lambda: processes_of(pid) == [], SOON_S)
    assert errors_of(said) == 1


def test_a_worker_that_is_killed(bucket: Bucket, ais_cluster: LocalCluster, tmp_path: Path) -> None:
    """It ends the training with torch's error, which names it."""
    said = tmp_path / "said"
    with training("dataset", bucket, ais_cluster.endpoint, said, 2, "fork") as pid:
        victim = next(one for one in processes_of(pid) if one != pid)
        os.kill(victim, signal.SIGKILL)
    assert str(victim) in said.read_text()
