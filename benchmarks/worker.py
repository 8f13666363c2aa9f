"""The process of one reader; alive over all rounds, so that every round finds it warm.

``python -m benchmarks.worker MODULE:FUNCTION`` reads lines from standard input: first the job,
then for each run the most items to read, 0 for all. It answers each with a line of JSON, and
ends with the input. What a reader prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO

from benchmarks.job import Job, ReaderFunction, Run

__all__ = ["load_reader", "main", "measure"]

_PROCESS = Path("/proc/self")


def main(function: str) -> None:
    """Serve the runs of one reader until standard input ends."""
    answers = _take_stdout()
    job = Job(**json.loads(sys.stdin.readline()))
    # torchdata tells every importer that it drops its DataPipes.
    warnings.simplefilter("ignore")
    reader = load_reader(function)
    if prepare := getattr(sys.modules[reader.__module__], "prepare", None):
        prepare(job)
    idle_bytes = _resident_bytes("VmRSS")
    _say(answers, {"idle_bytes": idle_bytes})
    for line in sys.stdin:
        _say(answers, asdict(measure(reader, job, int(line), idle_bytes)))


def load_reader(function: str) -> ReaderFunction:
    """Return the reader named ``module:function`` in `benchmarks.readers`."""
    module, _, name = function.partition(":")
    return getattr(import_module(f"benchmarks.readers.{module}"), name)


def measure(reader: ReaderFunction, job: Job, most: int, idle_bytes: int) -> Run:
    """Let a reader read once, and measure it.

    Args:
        reader: The reader.
        job: What it reads.
        most: After how many items to stop; 0 for none.
        idle_bytes: Resident memory of the process when it did nothing yet.

    Raises:
        RuntimeError: The reader yields nothing.
    """
    with suppress(OSError):  # not Linux, or not allowed: the peak is that of all runs then
        (_PROCESS / "clear_refs").write_text("5")
    begin = time.perf_counter()
    sizes = reader(job)
    first = next(sizes, None)
    first_item_s = time.perf_counter() - begin
    if first is None:
        raise RuntimeError(f"{reader.__name__} yields nothing from {job.prefix_url}")
    count, size = _drain(islice(sizes, most - 1 if most else None))
    seconds = time.perf_counter() - begin
    peak_bytes = max(0, _resident_bytes("VmHWM") - idle_bytes)
    getattr(sizes, "close", lambda: None)()
    return Run(seconds, first_item_s, count + 1, size + first, peak_bytes)


def _drain(sizes: Iterator[int]) -> tuple[int, int]:
    count = total = 0
    for size in sizes:
        count += 1
        total += size
    return count, total


def _resident_bytes(field: str) -> int:
    """Return ``VmRSS``, now, or ``VmHWM``, the most since ``clear_refs``."""
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", (_PROCESS / "status").read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _take_stdout() -> IO[str]:
    """Return standard output for the answers alone; all else goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[str], answer: dict) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
