"""Measuring: what a loader delivers in some seconds, and what it costs here.

The clock starts when every worker has delivered a batch, so that how long workers take to start is
told beside the rate and not in it. Where an epoch ends before the time does, the next one begins.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from aisdatapipes.throughput.loaders import Batch

__all__ = ["Row", "measure"]

_MIB = 2**20


@dataclass(frozen=True)
class Row:
    """What a loader has delivered.

    Attributes:
        what: ``files`` or ``samples``.
        workers: Of the loader.
        items: Files or samples while the clock ran.
        bytes: Their bytes.
        seconds: How long the clock ran.
        first_s: Seconds until the first batch, with the start of the workers.
        epochs: How often all was read to the end.
        cores: How many of the cores here the loader and its workers kept busy; None where the
            system does not tell.
    """

    what: str
    workers: int
    items: int
    bytes: int
    seconds: float
    first_s: float
    epochs: int
    cores: float | None

    @property
    def per_second(self) -> float:
        """Files or samples a second."""
        return self.items / self.seconds

    @property
    def mib_per_second(self) -> float:
        """MiB a second."""
        return self.bytes / _MIB / self.seconds


@dataclass
class _Clock:
    """What was delivered since a moment."""

    begin: float
    cpu_s: float | None
    items: int = 0
    bytes: int = 0

    @classmethod
    def start(cls) -> _Clock:
        return cls(time.monotonic(), _cpu_s())

    def elapsed_s(self) -> float:
        return time.monotonic() - self.begin

    def cores(self) -> float | None:
        now_s = _cpu_s()
        if now_s is None or self.cpu_s is None:
            return None
        return max(now_s - self.cpu_s, 0.0) / self.elapsed_s()


def measure(what: str, loader: DataLoader[Any], seconds: float) -> Row:
    """Read from a loader until the time is over.

    Args:
        what: What it delivers.
        loader: That of `file_loader` or `sample_loader`.
        seconds: For how long. The batch that is on its way then is waited for; and as long again
            may it take until every worker has delivered one.

    Raises:
        AISPipeError: Something could not be read.
    """
    warm_up = max(loader.num_workers, 1)
    start = clock = _Clock.start()
    first_s, epochs = 0.0, 0
    for number, (epoch, (items, content)) in enumerate(_batches(loader), 1):
        first_s, epochs = first_s or start.elapsed_s(), epoch
        clock.items += items
        clock.bytes += content.numel()
        if clock.elapsed_s() >= seconds:
            break
        if number == warm_up:
            clock = _Clock.start()
    cores, elapsed_s = clock.cores(), clock.elapsed_s()
    counts = (clock.items, clock.bytes, elapsed_s, first_s, epochs)
    return Row(what, loader.num_workers, *counts, cores)


def _batches(loader: DataLoader[Any]) -> Iterator[tuple[int, Batch]]:
    """Yield each batch of epoch after epoch, behind the number of those that are complete."""
    dataset: Any = loader.dataset
    for epoch in count():
        dataset.set_epoch(epoch)
        batch = None
        for batch in loader:
            yield epoch, batch
        if batch is None:
            return


def _cpu_s() -> float | None:
    """Return the seconds of cores that this process and its workers have used, if it is told."""
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    try:
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in pids]
    except OSError:  # no Linux, or a worker that has ended in between
        return None
    ticks = sum(int(field) for stat in stats for field in stat.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")
