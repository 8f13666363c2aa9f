"""A process ends when other threads have done with files, and does not wait without need."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from aistore.sdk import Bucket

from aisdatapipes.filesystem.quiet_exit import OtherThreads
from conftest import PutObject
from support.fault_rules import Stall
from support.faults import FaultProxy

LEAVES_A_THREAD = """
import sys, threading
from aisdatapipes.filesystem import AISFileSystem
file = AISFileSystem(sys.argv[1]).open(sys.argv[2])
began = threading.Event()

def read():
    file.seek(4_000_000)
    began.set()
    print(len(file.read(1000)), flush=True)

threading.Thread(target=read, daemon=True).start()
began.wait()
"""


def test_a_read_is_awaited(ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy) -> None:
    """A read that goes on in another thread comes to its end before the process does."""
    put_object(ais_bucket, "a.bin", bytes(5_000_000))
    with faults.rule(Stall(500, seconds=0.4, times=None)):
        done = subprocess.run(
            [sys.executable, "-c", LEAVES_A_THREAD, faults.endpoint, f"{ais_bucket.name}/a.bin"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "1000\n"


def elapsed_s(threads: OtherThreads) -> float:
    """Return how long it waits."""
    began = time.monotonic()
    threads.wait_until_quiet()
    return time.monotonic() - began


def use(threads: OtherThreads, until: threading.Event) -> threading.Thread:
    """Use a file in another thread, until the event; return once it has begun."""
    began = threading.Event()

    def run() -> None:
        with threads:
            began.set()
            until.wait()

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(10)
    return thread


def test_the_main_thread_is_not_awaited() -> None:
    """A process whose main thread alone has used files ends at once, also after an error there."""
    threads = OtherThreads(quiet_s=5)
    with pytest.raises(ZeroDivisionError), threads, threads:
        _ = 1 / 0
    assert elapsed_s(threads) < 1


def test_quiet_means_for_a_moment() -> None:
    """It waits for as long as was said after the last use, and no longer."""
    threads, done = OtherThreads(quiet_s=0.2), threading.Event()
    thread = use(threads, done)
    done.set()
    thread.join()
    assert 0.15 < elapsed_s(threads) < 2
    assert elapsed_s(threads) < 0.1


def test_it_waits_not_for_ever() -> None:
    """A thread that never comes back does not keep the process."""
    threads, done = OtherThreads(quiet_s=0, most_s=0.2), threading.Event()
    thread = use(threads, done)
    assert 0.15 < elapsed_s(threads) < 2
    done.set()
    thread.join()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_waits_for_none() -> None:
    """A child of a fork does not wait for a thread that only its parent has."""
    threads, done = OtherThreads(most_s=30), threading.Event()
    thread = use(threads, done)
    child = os.fork()
    if not child:
        threads.forget()  # as `OTHER_THREADS` does there
        os._exit(elapsed_s(threads) > 1)
    assert os.waitpid(child, 0)[1] == 0
    done.set()
    thread.join()
