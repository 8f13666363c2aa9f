"""Ray Data, on two cores of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import fsspec
import ray.data  # pyright: ignore[reportMissingImports] - of the bench extra
from pyarrow.fs import (  # pyright: ignore[reportMissingImports]
    FSSpecHandler,
    PyFileSystem,
)

from aisdatapipes.ray import read_ais
from benchmarks.job import Job

__all__ = ["binary_files", "objects", "prepare"]


def prepare(_: Job) -> None:
    """Start Ray, which is no work; it ends with this process."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False


def objects(job: Job) -> Iterator[int]:
    """Our ``read_ais``, in as many tasks as Ray likes."""
    return _sizes(lambda: read_ais(job.prefix_url, endpoint=job.endpoint))


def binary_files(job: Job) -> Iterator[int]:
    """Ray's ``read_binary_files`` over our filesystem, in as many tasks as it likes."""
    filesystem = PyFileSystem(FSSpecHandler(fsspec.filesystem("ais", endpoint=job.endpoint)))
    path = f"{job.bucket}/{job.prefix}"
    return _sizes(lambda: ray.data.read_binary_files(path, filesystem=filesystem))


def _sizes(make: Callable[[], Any]) -> Iterator[int]:
    tables: Iterable[Any] = make().iter_batches(batch_format="pyarrow", batch_size=None)
    for table in tables:
        yield from (len(content) for content in table["bytes"].to_pylist())
