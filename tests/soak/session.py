"""One session: a cluster behind a bad network, the trainer, and its epochs until time is up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from random import Random

from outages.readers import Place
from soak.readers import READERS, streams
from soak.report import Report, Result
from soak.trainer import train
from soak.weather import weather
from support.faults import FaultProxy

__all__ = ["soak"]

# The longest an epoch may take. Its stalls cost it some seconds each.
_MOST_S = 120.0


def soak(
    proxy: FaultProxy,
    bucket: str,
    seed: int,
    is_enough: Callable[[Report], bool],
    *,
    is_quick: bool = False,
) -> Report:
    """Read epochs in rounds, of all readers each, until it is enough or one is not exact.

    Args:
        proxy: In front of the cluster.
        bucket: Its URL; `outages.contents` has filled it.
        seed: Of the faults and of the order of readers.
        is_enough: Whether to end; asked after every epoch.
        is_quick: Leave out faults that make the readers wait for seconds.
    """
    report = Report(seed)
    with _trainer(Place(proxy.endpoint, bucket)) as (pid, ends):
        for number, where in enumerate(_order(seed)):
            # Sources of the SDK are listed as often as their own client tries.
            is_for_listings = READERS[where].make is not streams
            own_seed = f"{seed}/{number}"
            proxy.rules = weather(own_seed, is_for_listings=is_for_listings, is_quick=is_quick)
            result = _epoch(proxy, ends, where, own_seed)
            report.results.append(result)
            if result.finding or is_enough(report):
                if result.is_stuck:
                    os.kill(pid, signal.SIGUSR1)
                    time.sleep(1)
                return report
    raise AssertionError("the order of readers has no end")


def _order(seed: int) -> Iterator[int]:
    chance = Random(seed)
    while True:
        yield from chance.sample(range(len(READERS)), len(READERS))


def _epoch(proxy: FaultProxy, ends: Connection, where: int, seed: str) -> Result:
    proxy.requests.clear()
    rules = proxy.rules
    ends.send((where, seed))
    answer = None
    try:
        answer = ends.recv() if ends.poll(_MOST_S) else None
    except EOFError:
        return Result(READERS[where].title, seed, None, None, 0, "the process has ended")
    finally:
        proxy.rules = []
    faults = sum(map(proxy.hits, rules))
    epoch, holding = answer or (None, None)
    said = "" if answer else f"no end after {_MOST_S:.0f} s"
    return Result(READERS[where].title, seed, epoch, holding, faults, said)


@contextmanager
def _trainer(place: Place) -> Iterator[tuple[int, Connection]]:
    context = multiprocessing.get_context("forkserver")
    ends, other = context.Pipe()
    process = context.Process(target=train, args=(place, other))
    process.start()
    other.close()
    assert process.pid
    try:
        yield process.pid, ends
        ends.send(None)
        process.join(10)
    finally:
        process.kill()
        process.join()
