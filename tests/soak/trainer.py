"""The process that reads: one epoch after the other, as it is told, as a training does."""

from __future__ import annotations

import faulthandler
import gc
import logging
import multiprocessing
import signal
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from outages.epochs import Epoch, Record
from outages.readers import Pair, Place, Reader
from soak.readers import READERS
from soak.weather import READ_TIMEOUT_S

__all__ = ["Holding", "train"]

# Far more retries than any weather needs: it is for ever that the readers are not to give up on.
_SETTINGS = {
    "read_timeout_s": READ_TIMEOUT_S,
    "max_retries": 60,
    "first_backoff_s": 0.005,
    "max_backoff_s": 0.05,
}
# Objects are held in memory, or streamed.
_WHOLE_OBJECT_BYTES = [8 * 2**20, 1000]
_KEEP = 0.7
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class Holding:
    """How much this process holds.

    Attributes:
        memory_mib: What is resident.
        threads: Its threads.
        files: Its open files, sockets and pipes.
        children: Its processes.
    """

    memory_mib: float
    threads: int
    files: int
    children: int

    @classmethod
    def now(cls) -> Holding:
        """Measure it."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        children = len(multiprocessing.active_children())
        return cls(pages * _PAGE_BYTES / 2**20, threading.active_count(), files, children)


def train(place: Place, ends: Connection) -> None:
    """Read an epoch for every pair of a reader's number and a seed that comes; send how it was.

    A reader goes on with what it has made before for most of its epochs, or begins as a new one.
    """
    logging.disable(logging.ERROR)  # of faults, which are on purpose
    warnings.simplefilter("ignore")
    faulthandler.register(signal.SIGUSR1)
    # As for users on Linux, for years; else workers start as this process was started.
    multiprocessing.set_start_method("fork", force=True)
    kept: dict[int, Iterable[Pair]] = {}
    while (order := ends.recv()) is not None:
        number, seed = order
        epoch = _read(READERS[number], number, place, Random(seed), kept)
        ends.send((epoch, Holding.now()))


def _read(
    reader: Reader, number: int, place: Place, chance: Random, kept: dict[int, Iterable[Pair]]
) -> Epoch:
    if chance.random() >= _KEEP:
        kept.pop(number, None)
    if number not in kept:
        settings = {**_SETTINGS, "whole_object_bytes": chance.choice(_WHOLE_OBJECT_BYTES)}
        kept[number], _ = reader.make(replace(place, settings=settings), reader.workers)
    return Record(reader.keys).read(kept[number], list)
