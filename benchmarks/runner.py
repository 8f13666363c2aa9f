"""The runner: one cluster, its data, and all readers, taking turns."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

from aisdatapipes.testing import LocalCluster
from benchmarks.data import Scale, store
from benchmarks.job import Job, Run
from benchmarks.processes import ReaderError, ReaderProcess, late_endpoint
from benchmarks.results import Row
from benchmarks.works import Reader, Work

__all__ = ["measure_all"]

_T = TypeVar("_T")

_WARM_ITEMS = 300
# Short readings are repeated within their turn.
_TURN_S = 1.5
_MOST_PER_TURN = 5


def measure_all(
    works: Sequence[Work], readers: Sequence[Reader], scale: Scale, rounds: int
) -> Iterator[Row]:
    """Yield what each reader reached, work after work.

    Args:
        works: What to read.
        readers: Who reads; those of other works are left out.
        scale: How much there is to read.
        rounds: How many turns each reader has.
    """
    with LocalCluster() as cluster, tempfile.TemporaryDirectory() as folder:
        nodes = _nodes(cluster.endpoint)
        stored: dict[str, Job] = {}
        for work in works:
            if work.data not in stored:
                _say(f"{work.code}: storing")
                stored |= store(work.data, cluster.endpoint, scale, Path(folder))
            with late_endpoint(nodes, work.delay_s) as endpoint:
                jobs = {kind: replace(job, endpoint=endpoint) for kind, job in stored.items()}
                yield from _measure(work, readers, jobs, rounds)


def _measure(
    work: Work, readers: Sequence[Reader], jobs: dict[str, Job], rounds: int
) -> Iterator[Row]:
    with ExitStack() as stack:
        entrants = [
            stack.enter_context(_Entrant(reader, jobs[reader.data or work.data]))
            for reader in readers
            if reader.work == work.code
        ]
        _say(f"{work.code}: starting {len(entrants)} processes")
        for entrant in entrants:
            entrant.get_ready(is_warmed=work.rounds is None)
        for number in range(work.rounds or rounds):
            _say(f"{work.code}: round {number + 1}")
            for entrant in entrants:
                entrant.take_turn()
    for entrant in entrants:
        if entrant.error:
            _say(f"{work.code}: {entrant.reader.name} failed: {entrant.error}")
        yield Row(work, entrant.reader, entrant.job, entrant.runs, entrant.error)


class _Entrant(AbstractContextManager):
    """A reader with its process, and what it has reached; one that fails is out.

    Args:
        reader: The reader.
        job: What it reads.
    """

    def __init__(self, reader: Reader, job: Job) -> None:
        self.reader = reader
        self.job = replace(job, options={**job.options, **reader.options})
        self.runs: list[Run] = []
        self.error = ""
        self._process = ReaderProcess(
            reader.function, self.job, is_of_the_past=reader.is_of_the_past
        )

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def get_ready(self, *, is_warmed: bool) -> None:
        """Return when everything is imported, and the connections and caches are warm."""
        self._try(self._process.wait_until_ready)
        if is_warmed:
            self._run(min(_WARM_ITEMS, self.reader.most or _WARM_ITEMS))

    def take_turn(self) -> None:
        """Read once, or some times if that takes no time."""
        begin, turns = time.perf_counter(), 0
        while turns < _MOST_PER_TURN and (not turns or time.perf_counter() - begin < _TURN_S):
            turns += 1
            if run := self._run(self.reader.most):
                self.runs.append(run)

    def _run(self, most: int) -> Run | None:
        return self._try(lambda: self._checked(self._process.run(most), most))

    def _checked(self, run: Run, most: int) -> Run:
        if self.reader.yields_items and not most and run.size != self.job.size:
            raise ReaderError(f"it read {run.size:,} of {self.job.size:,} bytes")
        return run

    def _try(self, act: Callable[[], _T]) -> _T | None:
        if self.error:
            return None
        try:
            return act()
        except ReaderError as error:
            self.error = str(error)
            self.runs.clear()
            return None


def _nodes(endpoint: str) -> list[str]:
    """Return the addresses of the proxy and of the target."""
    with urlopen(f"{endpoint}/v1/daemon?what=smap") as answer:  # noqa: S310 - our own cluster
        cluster = json.load(answer)
    targets = [node["public_net"]["direct_url"] for node in cluster["tmap"].values()]
    return [endpoint, *targets]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
