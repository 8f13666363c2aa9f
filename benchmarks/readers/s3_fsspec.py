"""torchdata's pipes for fsspec with s3fs, at AIStore's own S3 endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import s3fs  # noqa: F401  # pyright: ignore[reportMissingImports] - of the bench extra
from torchdata.datapipes.iter import IterableWrapper  # pyright: ignore[reportMissingImports]

from benchmarks.job import Job
from benchmarks.readers.s3_access import REGION, endpoint

__all__ = ["files", "tar"]


def files(job: Job) -> Iterator[int]:
    """``list_files_by_fsspec().open_files_by_fsspec()``."""
    return (len(stream.read()) for _, stream in _opened(job))


def tar(job: Job) -> Iterator[int]:
    """The same with ``load_from_tar()``, every member read."""
    return (len(stream.read()) for _, stream in _opened(job).load_from_tar())


def _opened(job: Job) -> Any:
    settings = {
        "endpoint_url": endpoint(job),
        "client_kwargs": {"region_name": REGION},
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    # With a prefix, torchdata takes it for a file: all objects of these buckets have the same.
    folder = f"s3://{job.bucket}/{job.prefix or job.names[0].rpartition('/')[0]}"
    urls = IterableWrapper([folder.rstrip("/")]).list_files_by_fsspec(**settings)
    return urls.open_files_by_fsspec("rb", **settings)
