"""Advice: what the figures of a measurement say to do, each with the figures that say so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from aisdatapipes.throughput.found import Found
from aisdatapipes.throughput.measuring import Row

__all__ = ["Advice", "Machine", "advise"]

_MIB = 2**20
_GBIT_OF_MIB = 8 * _MIB / 1e9
# As much as two rows of the same may differ by chance.
_ALIKE = 0.1
_MUCH_LISTING, _LONG_LISTING_S = 0.05, 0.5
_BUSY = 0.8
_BRIEF_S = 0.5
_BIG_BYTES = 8 * _MIB  # from there on each is streamed by itself, whatever it is in
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Advice(NamedTuple):
    """One line of it.

    Attributes:
        topic: ``listing``, ``size``, ``workers`` or ``network``.
        text: What to do, and why.
    """

    topic: str
    text: str


@dataclass(frozen=True)
class Machine:
    """What this machine has.

    Attributes:
        cores: That this process may use.
        card_gbit: Gbit/s of its fastest network card; 0 if it does not tell.
    """

    cores: int
    card_gbit: float = 0.0

    @classmethod
    def here(cls) -> Machine:
        """Return this one."""
        has_affinity = hasattr(os, "sched_getaffinity")
        cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
        return cls(cores, max(_card_speeds(), default=0) / 1000)


def advise(found: Found, rows: Sequence[Row], machine: Machine) -> Iterator[Advice]:
    """Yield what the rows say.

    Args:
        found: What was read.
        rows: Of files and samples, for some numbers of workers each.
        machine: Where it was read.

    Example:
        >>> from aisdatapipes.urls import ParsedURL
        >>> found = Found(ParsedURL("ais", "b"), "http://ais", files=[("a", 2**20)], seconds=0.1)
        >>> rows = [Row("files", 1, 80, 80 * 2**20, 1.0, 0.1, 80, 0.4)]
        >>> print(list(advise(found, rows, Machine(4, 10.0)))[-1].text)
        0.67 Gbit/s, of 10 of the fastest card here, with 0.4 of 4 cores busy: neither is the \
limit, but the way to the cluster, its disks, or too few workers
    """
    best = {
        what: max((row for row in rows if row.what == what), key=lambda row: row.per_second)
        for what in ("files", "samples")
        if any(row.items and row.what == what for row in rows)
    }
    if not best:
        yield Advice("size", "nothing could be measured: there is no file and no sample")
        return
    yield Advice("listing", _on_listing(found, best))
    yield Advice("size", _on_size(found, best))
    yield Advice("workers", _on_workers(rows, best, machine))
    yield Advice("network", _on_network(found, best, machine))


def _on_listing(found: Found, best: dict[str, Row]) -> str:
    names = f"{found.names:,} names in {found.seconds:.2f} s"
    if found.seconds < _LONG_LISTING_S:
        return f"{names}: nothing to gain"
    read_s = 0.0
    for what, row in best.items():
        there = sum(size for _, size in (found.files if what == "files" else found.shards))
        read_s += there / max(row.bytes, 1) * row.seconds
    share = found.seconds / max(found.seconds + read_s, 1e-9)
    part = f"{share:.0%} of an epoch, whose reading takes {read_s:,.1f} s at best"
    if share < _MUCH_LISTING:
        return f"{names}, {part}: nothing to gain"
    return f"{names}, {part}: list once, save the Manifest, and give manifest= to the dataset"


def _on_size(found: Found, best: dict[str, Row]) -> str:
    files, shards = best.get("files"), best.get("samples")
    if files and shards:
        return _on_packing(found, files, shards)
    if shards:
        return _on_shards(found, shards)
    rate = best["files"].mib_per_second
    if sum(size for _, size in found.files) >= _BIG_BYTES * len(found.files):
        return f"files of {_mean(found.files)} come at {rate:,.1f} MiB/s: big enough as they are"
    return (
        f"files of {_mean(found.files)} come at {rate:,.1f} MiB/s, and there are no shards to "
        "compare with: pack some beside them (aisdatapipes pack), and measure again"
    )


def _on_packing(found: Found, files: Row, shards: Row) -> str:
    ratio = shards.mib_per_second / max(files.mib_per_second, 1e-9)
    rates = (
        f"{shards.mib_per_second:,.1f} MiB/s from shards of {_mean(found.shards)}, "
        f"{files.mib_per_second:,.1f} from files of {_mean(found.files)}"
    )
    if ratio > 1 + _ALIKE:
        return f"{rates}: shards are {ratio:.1f} times as fast, pack the files (aisdatapipes pack)"
    return f"{rates}: leave the files as they are, packed they would come no faster"


def _on_shards(found: Found, row: Row) -> str:
    number, workers = len(found.shards), max(row.workers, 1)
    size = _mean(found.shards)
    if number < workers:
        idle = workers - number
        return f"{number} shards for {workers} workers, {idle} of which read nothing: make smaller"
    each_s = sum(size for _, size in found.shards) / number / max(row.bytes, 1) * row.seconds
    each_s *= workers
    if each_s < _BRIEF_S:
        aim = f"{_mean(found.shards, _BRIEF_S / max(each_s, 1e-9))} and more"
        return f"a shard of {size} lasts a worker for {each_s:.2f} s: {aim} would be opened less"
    return f"a shard of {size} lasts a worker for {each_s:.1f} s: big enough"


def _on_workers(rows: Sequence[Row], best: dict[str, Row], machine: Machine) -> str:
    return "; ".join(_enough([row for row in rows if row.what == what], machine) for what in best)


def _enough(rows: Sequence[Row], machine: Machine) -> str:
    """Say how many workers are enough for one kind of items."""
    top = max(rows, key=lambda row: row.per_second)
    bar = (1 - _ALIKE) * top.per_second
    fewest = min((row for row in rows if row.per_second >= bar), key=lambda row: row.workers)
    text = f"{fewest.workers} for {fewest.what} ({fewest.per_second:,.0f}/s"
    most = max(rows, key=lambda row: row.workers)
    if most is not fewest:
        change = most.per_second / fewest.per_second - 1
        return f"{text}; {most.workers} change that by {round(100 * change):+d}%)"
    if len(rows) == 1:
        return f"{text}; no other number was measured)"
    if fewest.workers < machine.cores:
        return f"{text}, and still rising: measure more, there are {machine.cores} cores)"
    return f"{text}, the most that were measured, for {machine.cores} cores)"


def _on_network(found: Found, best: dict[str, Row], machine: Machine) -> str:
    row = max(best.values(), key=lambda row: row.mib_per_second)
    gbit = row.mib_per_second * _GBIT_OF_MIB
    cores = "" if row.cores is None else f"{row.cores:.1f} of {machine.cores} cores busy"
    if urlsplit(found.endpoint).hostname in _LOOPBACK:
        with_cores = f", with {cores} by the loader" if cores else ""
        return (
            f"{gbit:.2f} Gbit/s, over none: the cluster is on this machine, and shares its cores"
            f"{with_cores}"
        )
    card = f", of {machine.card_gbit:g} of the fastest card here" if machine.card_gbit else ""
    told = f"{gbit:.2f} Gbit/s{card}{', with ' if cores else ''}{cores}"
    if machine.card_gbit and gbit > _BUSY * machine.card_gbit:
        return f"{told}: the card is the limit"
    if row.cores is not None and row.cores > _BUSY * min(machine.cores, row.workers + 1):
        return f"{told}: the cores are the limit, not the network"
    return (
        f"{told}: neither is the limit, but the way to the cluster, its disks, or too few workers"
    )


def _mean(names: Sequence[tuple[str, int]], times: float = 1.0) -> str:
    """Return the mean size, or a multiple of it, for people."""
    size = sum(size for _, size in names) / max(len(names), 1) * times
    return f"{size / _MIB:,.1f} MiB" if size >= _MIB else f"{size / 1024:,.1f} KiB"


def _card_speeds() -> Iterator[int]:
    """Yield Mbit/s of each network card that tells."""
    for file in Path("/sys/class/net").glob("*/speed"):
        with suppress(OSError, ValueError):
            yield int(file.read_text())
