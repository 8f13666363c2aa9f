"""The steps that are measured, for a number of objects or shards that there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from statistics import median
from typing import Any

import torch
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISIterDataset, AISShardReader, Manifest
from aisdatapipes.distributed.partition import Partition
from aisdatapipes.urls import parse_url
from growth.control import read_bare
from growth.memory import private_mib

__all__ = ["CONTROL", "PREFIXES", "READ", "measure_objects", "measure_shards", "name_of"]

PREFIXES = 2000

# Enough for a rate; all of them would take as long as the filling.
_READ = 20_000
_TIMES = 3
_RANKS, _WORKERS = 16, 64

READ = "read"
CONTROL = "read: control"

Steps = dict[str, float]


def name_of(number: int) -> str:
    """Return the name of an object, under one of the prefixes."""
    return f"{number % PREFIXES:04d}/{number:07d}"


def measure_objects(endpoint: str, bucket: str, count: int) -> Steps:
    """Measure all that is done with objects: seconds, and MiB."""
    before = private_mib()
    with _Timer() as listing:
        listed = sum(1 for _ in AISFileLister([bucket], url=endpoint))
    assert listed == count
    with _Timer() as building:
        manifest = Manifest.build(bucket, client_url=endpoint)
    prefixes = [f"{bucket}{number:04d}/" for number in range(0, PREFIXES, 10)]
    with _Timer() as by_prefixes:
        found = len(Manifest.build(prefixes, client_url=endpoint))
    assert found == count // 10

    def dataset(**options: Any) -> AISIterDataset[Any]:
        return AISIterDataset(manifest=manifest, client_url=endpoint, shuffle=True, **options)

    return {
        "list": listing.s,
        "build a manifest": building.s,
        "list 200 of 2,000 prefixes": by_prefixes.s,
        **_reading(endpoint, dataset, manifest),
        "main process (MiB)": private_mib() - before,
        "worker (MiB)": _worker_mib(dataset(transform=_memory)),
        **_state(dataset, count),
        **_partition(count),
    }


def measure_shards(endpoint: str, bucket: str, shards: int) -> Steps:
    """Measure all that is done with shards of ten samples."""
    before = private_mib()
    with _Timer() as building:
        manifest = Manifest.build(bucket, client_url=endpoint)
    manifest = _first(manifest, shards)

    def dataset(**options: Any) -> AISShardReader[Any]:
        return AISShardReader(manifest=manifest, client_url=endpoint, shuffle=True, **options)

    with _Timer() as reading:
        read = sum(1 for _ in dataset())
    assert read == 10 * shards
    return {
        "build a manifest": building.s,
        "read": reading.s,
        "main process (MiB)": private_mib() - before,
        "worker (MiB)": _worker_mib(dataset(transform=_memory)),
        **_state(dataset, shards),
    }


class _Timer:
    """How many seconds a block takes, and how many of them this process works."""

    def __enter__(self) -> _Timer:
        self._began, self._worked = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.s = time.perf_counter() - self._began
        self.cpu_s = time.process_time() - self._worked


def _reading(endpoint: str, dataset: Callable[[], Any], manifest: Manifest) -> Steps:
    """Read some objects, and others by the control, in turns; the middle one of each counts."""
    count = len(manifest)
    some = min(count, _READ)
    readings: list[_Timer] = []
    controls: list[float] = []
    for _ in range(_TIMES):
        with _Timer() as reading:
            assert sum(1 for _ in islice(dataset(), some)) == some
        chosen = torch.randperm(count)[:some].tolist()
        names = [parse_url(url).name for url in manifest.urls(chosen)]
        with _Timer() as control:
            read_bare(endpoint, "objects", names)
        readings.append(reading)
        controls.append(control.s)
    read, cpu = (median(times) for times in zip(*((r.s, r.cpu_s) for r in readings), strict=True))
    return {
        READ: read * count / some,
        CONTROL: median(controls) * count / some,
        "read: CPU of the reader": cpu * count / some,
    }


def _first(manifest: Manifest, count: int) -> Manifest:
    return Manifest.from_urls(manifest.urls(range(count)))


def _memory(_: Any) -> float:
    return private_mib() if torch.rand(()) < 0.002 else 0.0


def _worker_mib(dataset: Any) -> float:
    loader = DataLoader(dataset, None, num_workers=2)
    return max(islice(loader, _READ))


def _state(dataset: Callable[[], Any], count: int) -> Steps:
    """Load the state of half an epoch: one that is saved at its beginning, and moved on."""
    whole = dataset()
    _taken(whole)
    state = whole.state_dict()
    state["worker"]["consumed"], state["begun"] = count // 2, {}
    other = dataset()
    with _Timer() as saving:
        for _ in range(100):
            whole.state_dict()
    with _Timer() as loading:
        other.load_state_dict(state)
    with _Timer() as resuming:
        _taken(other)
    return {
        "state_dict": saving.s / 100,
        "load_state_dict at 50 %": loading.s,
        "first sample after it": resuming.s,
    }


def _taken(dataset: Any) -> None:
    next(iter(dataset))


def _partition(count: int) -> Steps:
    """Share positions between all workers, and again what is left at half of it."""
    order = torch.randperm(count)
    partition = Partition(_RANKS, _WORKERS, 1, "pad")
    workers = partition.workers()
    with _Timer() as sharing:
        slices = [partition.slice(order, worker) for worker in workers]
    assert len(torch.cat([part.own for part in slices]).unique()) == count
    halves = [len(part.own) // 2 for part in slices]
    with _Timer() as again:
        left = partition.remaining(order, halves, None)
    assert len(left) == count - sum(halves)
    return {"partition for 16 x 64": sharing.s, "what 16 x 64 have left": again.s}
