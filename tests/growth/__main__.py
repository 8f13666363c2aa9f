"""Fill, measure, fill more, measure again; then write it down."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from aisdatapipes.testing import LocalCluster
from benchmarks.storing import Store
from growth.page import Figures, write
from growth.steps import measure_objects, measure_shards, name_of
from support.tars import member, pack

_OBJECTS = [10_000, 100_000, 500_000]
_SHARDS = [1_000, 10_000]
_FOLDER = Path(__file__).parents[2] / "docs"


def _shard(number: int) -> bytes:
    names = [f"{number:05d}-{sample}" for sample in range(10)]
    return pack([member(f"{name}.txt", name.encode()) for name in names])


def main() -> None:
    """Measure everything, and say what was found."""
    logging.disable(logging.WARNING)
    objects: Figures = {}
    shards: Figures = {}
    with LocalCluster() as cluster:
        store = Store(cluster.endpoint)
        store.create_bucket("objects")
        store.create_bucket("shards")
        filled = 0
        for count in _OBJECTS:
            began = time.perf_counter()
            numbers = range(filled, count)
            store.put_all("objects", ((name_of(one), b"%d" % one) for one in numbers))
            rate = len(numbers) / (time.perf_counter() - began)
            print(f"{count:,} objects, put at {rate:,.0f} a second", flush=True)  # noqa: T201
            filled = count
            objects[count] = measure_objects(cluster.endpoint, "ais://objects/", count)
            objects[count]["put"] = count / rate
            print(objects[count], flush=True)  # noqa: T201
        store.put_all("shards", ((f"{one:05d}.tar", _shard(one)) for one in range(_SHARDS[-1])))
        for count in _SHARDS:
            shards[count] = measure_shards(cluster.endpoint, "ais://shards/", count)
            print(count, shards[count], flush=True)  # noqa: T201
    print(write(_FOLDER, objects, shards))  # noqa: T201


if __name__ == "__main__":
    main()
