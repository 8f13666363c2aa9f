"""One row of the table: a cluster, its readers, what happens, and what came of it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from multiprocessing.connection import Connection, wait

import requests
from aistore.sdk import Bucket

from aisdatapipes import errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from outages.contents import fill
from outages.epochs import Epoch, read_epochs
from outages.readers import Place, Reader
from outages.rows import Fault

__all__ = ["Result", "run_trial"]

# Until the first epochs are there: eleven processes start at the same time.
_START_S = 60.0
# What AIStore needs at most to move a few objects, and to say so.
_REBALANCE_S = 90.0
_AFTER_MAP_S = 5.0
_REBALANCING = 1 << 3
# What it needs to notice that a target is gone, or an epoch to end that waited, and some more.
_RECOVER_S = 60.0
_STOP_S = 30.0
# To code what was written, which AIStore does after it has answered.
_CODING_S = 3.0


@dataclass
class Result:
    """What one reader delivered. Times are those of `time.monotonic`.

    Attributes:
        reader: The reader.
        due: What was to come of it; see `Fault`.
        struck: When it happened.
        over: When the cluster had its nodes again, and had stopped to move objects between them:
            AIStore says that it does for 40 s and more, and lists a bucket without some names.
        epochs: All epochs, those before too.
    """

    reader: Reader
    due: str
    struck: float = 0.0
    over: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether it has failed, or read an epoch that began after everything was over."""
        return any(
            epoch.error or epoch.skipped or epoch.begin > self.over > 0 for epoch in self.epochs
        )

    @property
    def is_complete(self) -> bool:
        """Whether it went on to the end and every epoch was complete."""
        return self.is_done and all(epoch.is_complete for epoch in self.epochs)

    @property
    def error(self) -> str:
        """What ended it early, or that it did not end; empty if all is well.

        When objects are lost and were reported as skipped, the next listing is an error, rightly.
        """
        told = takewhile(lambda epoch: self.due != "skip" or not epoch.skipped, self.epochs)
        said = [epoch.error for epoch in told if epoch.error]
        return said[0] if said else "" if self.is_done else "no epoch came to an end"

    @property
    def recovered_s(self) -> float:
        """Seconds from when it happened to the end of the last wait for a sample."""
        return max(0.0, *(epoch.stalled_until - self.struck for epoch in self.epochs), 0.0)

    def total(self, what: str) -> int:
        """Return a number of all epochs: ``missing``, ``repeated``, ``wrong`` or ``skipped``."""
        return sum(getattr(epoch, what) for epoch in self.epochs)

    @property
    def finding(self) -> str:
        """What is not as it should be; empty if everything is."""
        counts = {what: self.total(what) for what in ("missing", "repeated", "wrong")}
        found = [f"{number} {what}" for what, number in counts.items() if number]
        if self.due == "error":
            kind = self.error.partition(":")[0]
            found += [] if hasattr(errors, kind) else [f"no error of this package: {self.error}"]
        elif self.error:
            found.append(self.error)
        if bool(self.total("skipped")) != (self.due == "skip"):
            found.append(f"{self.total('skipped')} skipped")
        return ", ".join(found)


def run_trial(fault: Fault, readers: Sequence[Reader], put: PutObject) -> list[Result]:
    """Let a fault strike while `readers` read, and return what each delivered."""
    with LocalCluster(targets=fault.targets, proxies=fault.proxies) as cluster:
        fill(_bucket(cluster, fault.parity), put)
        time.sleep(_CODING_S if fault.parity else 0)
        results = [Result(reader, fault.due) for reader in readers]
        place = Place(cluster.endpoint, "ais://b", fault.settings, fault.on_error)
        with _running(results, place) as running:
            running.wait(lambda result: bool(result.epochs), _START_S)
            struck = time.monotonic()
            fault.strike(cluster)
            _wait_for_rebalance(cluster)
            for result in results:
                result.struck, result.over = struck, time.monotonic()
            running.wait(lambda result: result.is_done, _RECOVER_S)
        return results


def _wait_for_rebalance(cluster: LocalCluster) -> None:
    """Return when the primary has not said for some seconds that objects are on their way."""
    primary = cluster.endpoints[cluster.primary]
    deadline, moved = time.monotonic() + _REBALANCE_S, time.monotonic()
    while moved + _AFTER_MAP_S > time.monotonic() < deadline:
        answer = requests.get(f"{primary}/v1/health", {"cii": "true"}, timeout=10)
        moved = time.monotonic() if int(answer.json()["flags"]) & _REBALANCING else moved
        time.sleep(0.2)


def _bucket(cluster: LocalCluster, parity: int) -> Bucket:
    if parity:
        return cluster.erasure_coded("b", parity_slices=parity)
    return cluster.client().bucket("b").create()


class _Running:
    """The processes of all readers."""

    def __init__(self, results: list[Result], place: Place) -> None:
        # Torch is imported in the server that they are forked from, once.
        context = multiprocessing.get_context("forkserver")
        self._stop = context.Event()
        self._results = results
        self._ends: list[Connection] = []
        self._processes = []
        for result in results:
            receiver, sender = context.Pipe(duplex=False)
            arguments = result.reader, place, sender, self._stop
            process = context.Process(target=read_epochs, args=arguments)
            process.start()
            sender.close()
            self._ends.append(receiver)
            self._processes.append(process)

    def wait(self, is_enough: Callable[[Result], bool], timeout_s: float) -> None:
        """Return when enough came of every reader, or no more comes of it, or the time is up."""
        deadline = time.monotonic() + timeout_s
        pairs = list(zip(self._results, self._ends, strict=True))
        while time.monotonic() < deadline:
            left = {end: result for result, end in pairs if not end.closed}
            if all(map(is_enough, left.values())):
                return
            for end in wait(list(left), 0.2):
                if isinstance(end, Connection):
                    _receive(end, left[end])

    def end(self) -> None:
        """Let them end after the epochs that they are in, and end those that do not."""
        self._stop.set()
        self.wait(lambda _: False, _STOP_S)
        for process in self._processes:
            process.kill()
            process.join()


def _receive(end: Connection, result: Result) -> None:
    try:
        result.epochs.append(end.recv())
    except EOFError:
        end.close()


@contextmanager
def _running(results: list[Result], place: Place) -> Iterator[_Running]:
    running = _Running(results, place)
    try:
        yield running
    finally:
        running.end()
