"""torchdata's pipes over local files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torchdata.datapipes.iter import FileOpener  # pyright: ignore[reportMissingImports]

from benchmarks.job import Job

__all__ = ["tar"]


def tar(job: Job) -> Iterator[int]:
    """``load_from_tar()`` over the same shards as local files, every member read."""
    paths = [str(Path(job.folder, name)) for name in job.names]
    return (len(stream.read()) for _, stream in FileOpener(paths, "rb").load_from_tar())
