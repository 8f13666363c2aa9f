"""A process that ends while it reads ends at once, without threads of ours, and does not abort."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from aistore.sdk import Bucket

from aisdatapipes.processes import background
from aisdatapipes.processes.background import BackgroundPool, in_thread, pause
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.exits import KINDS, environment, exit_codes, fill
from support.fault_rules import Stall, Status
from support.faults import FaultProxy

LEAVES = """
import atexit, json, signal, sys, threading, time

def ours():
    return sum(thread.name == "aisdatapipes" for thread in threading.enumerate())

def tell():
    print(json.dumps([before, ours(), time.monotonic() - ended]))

atexit.register(tell)  # before the package has registered anything: this comes after it
from support.exits import KINDS

signal.signal(signal.SIGALRM, signal.default_int_handler)
readers = []
for kind in sys.argv[3:]:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        readers.append(KINDS[kind](*sys.argv[1:3]))
        next(readers[-1]), next(readers[-1]), next(readers[-1])
        print(kind, "was not kept waiting")
    except KeyboardInterrupt:
        pass
before = ours()
ended = time.monotonic()
"""


def test_threads_that_wait_end(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """Whatever they wait for, an answer, a body or their next try: they end, and soon.

    The script is kept waiting by every reader, with a Ctrl-C each, and goes to its end.
    """
    fill(ais_bucket, put_object)
    command = [sys.executable, "-W", "error", "-c", LEAVES, faults.endpoint, ais_bucket.name]
    with (
        faults.rule(Stall(1000, seconds=60, times=None, matches="/big|/t/")),
        faults.rule(Stall(None, seconds=60, times=None, matches="/o/|/new|/ml/")),
        faults.rule(Status(503, times=None, matches="/t%2F")),
    ):
        done = subprocess.run(
            [*command, *KINDS], capture_output=True, text=True, check=False, env=environment()
        )
    before, after, elapsed_s = json.loads(done.stdout)
    assert before > 3
    assert after == 0
    assert elapsed_s < 2
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_no_exit_aborts(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A script that leaves its loop early and ends has a good end, whatever it read with."""
    fill(ais_bucket, put_object)
    kinds = ["singles", "iterable", "shards"]  # all of them, and often: see `support.exits`
    codes = exit_codes(ais_cluster.endpoint, ais_bucket.name, 1, *kinds)
    assert codes == {kind: {"0": 1} for kind in kinds}


@pytest.fixture(autouse=True)
def _fresh_threads() -> Iterator[None]:
    """What a test does to the threads of this process is over with it."""
    yield
    background._threads._forget()


def test_at_the_end_work_is_done_at_once() -> None:
    """Who reads in a hook of its own after ours still can: without threads."""
    background.end_threads()
    assert in_thread(lambda _: threading.get_ident(), None).result() == threading.get_ident()
    with BackgroundPool(2) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
    pause(0.01)


def test_threads_are_ended_while_they_pause() -> None:
    """Pauses end, and so do the threads."""
    paused = [in_thread(pause, 60) for _ in range(3)]
    began = time.monotonic()
    background.end_threads()
    assert time.monotonic() - began < 1
    assert all(isinstance(one.exception(0), SystemExit) for one in paused)


def test_what_cannot_be_woken_is_not_awaited_for_ever() -> None:
    """A thread that waits for something else holds the end up for a second."""
    stop = threading.Event()
    in_thread(stop.wait, 60)
    began = time.monotonic()
    background.end_threads()
    assert 0.9 < time.monotonic() - began < 2
    stop.set()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_the_end_has_threads() -> None:
    """A process that is forked then is not about to end itself."""
    background.end_threads()
    child = os.fork()
    if not child:
        other = in_thread(lambda _: threading.get_ident(), None).result()
        os._exit(other == threading.get_ident())
    assert os.waitpid(child, 0)[1] == 0


def test_a_pool_has_so_many_threads() -> None:
    """No more calls at a time, and all of them are made."""
    at_work: list[int] = []
    most = 0

    def work(number: int) -> int:
        nonlocal most
        at_work.append(number)
        most = max(most, len(at_work))
        time.sleep(0.01)
        at_work.remove(number)
        return number

    with BackgroundPool(3) as pool:
        assert list(pool.map(work, range(20))) == list(range(20))
    assert 1 < most <= 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_pool_that_an_error_leaves(error: type[BaseException]) -> None:
    """What has not begun is not done; only a Ctrl-C does not wait for what has."""
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.3)
        done.append(number)

    def submit_and_fail() -> None:
        with BackgroundPool(2) as pool:
            calls.extend(pool.submit(work, number) for number in range(6))
            time.sleep(0.05)
            raise error

    calls: list[Future] = []
    with pytest.raises(error):
        submit_and_fail()
    assert len(done) == (2 if error is ValueError else 0)
    assert [call.cancelled() for call in calls] == [False] * 2 + [True] * 4
