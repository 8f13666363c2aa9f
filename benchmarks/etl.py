"""``python -m benchmarks.etl``: reading through an ETL of 5 ms, one at a time and as we do.

Beside ``make bench``, as it needs the tests' stand-in for the Kubernetes API.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from aistore.sdk import Bucket
from aistore.sdk.etl import ETLConfig
from aistore.sdk.etl.webserver.http_multi_threaded_server import HTTPMultiThreadedServer

from aisdatapipes import AISFileLoader

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.etls import cluster_with_etls, start_etl

_OBJECTS = 400
_BYTES = 20_000
_ROUNDS = 3


class Slow(HTTPMultiThreadedServer):
    """Turns bytes around, and takes 5 ms for it."""

    def transform(self, data: Any, path: str, etl_args: str) -> bytes:  # noqa: ARG002
        """Transform an object."""
        import time

        time.sleep(0.005)
        return data[::-1]


def main() -> None:
    """Measure, and print medians and ratios."""
    with cluster_with_etls(1) as (cluster, _):
        bucket = cluster.client().bucket("etl-benchmark").create()
        for number in range(_OBJECTS):
            bucket.object(f"{number:04}").get_writer().put_content(bytes(_BYTES))
        name = start_etl(cluster, "five-ms", Slow)
        readers = {
            "SDK, one at a time": lambda: _one_at_a_time(bucket, name),
            "load_files_by_ais, concurrency=1": lambda: _loaded(bucket, name, concurrency=1),
            "load_files_by_ais": lambda: _loaded(bucket, name),
        }
        seconds: dict[str, list[float]] = {reader: [] for reader in readers}
        for turn in range(_ROUNDS + 1):
            for reader, read in readers.items():
                took_s = _timed(read)
                if turn:  # the first one warms up
                    seconds[reader].append(took_s)
    slowest = median(seconds["SDK, one at a time"])
    for reader, took in seconds.items():
        rate, ratio = _OBJECTS / median(took), slowest / median(took)
        sys.stdout.write(f"{reader:34} {rate:6.0f} objects/s {ratio:5.2f} x\n")


def _timed(read: Callable[[], int]) -> float:
    begin = time.perf_counter()
    if read() != _OBJECTS * _BYTES:
        raise RuntimeError("a reader lost something")
    return time.perf_counter() - begin


def _one_at_a_time(bucket: Bucket, name: str) -> int:
    objects = (bucket.object(f"{number:04}") for number in range(_OBJECTS))
    return sum(len(b"".join(one.get_reader(etl=ETLConfig(name)))) for one in objects)


def _loaded(bucket: Bucket, name: str, **options: Any) -> int:
    urls = [f"ais://{bucket.name}/{number:04}" for number in range(_OBJECTS)]
    endpoint = bucket.client.base_url.removesuffix("/v1")
    pipe = AISFileLoader(urls, endpoint, etl_name=name, **options)
    return sum(len(stream.read()) for _, stream in pipe)


if __name__ == "__main__":
    main()
