"""torchdata's own pipes for AIStore, with the last SDK that they work with.

This module must not import aisdatapipes, which replaces them.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchdata.datapipes.iter import (  # pyright: ignore[reportMissingImports]
    AISFileLoader,
    IterableWrapper,
)

from benchmarks.job import Job

__all__ = ["files", "tar"]


def files(job: Job) -> Iterator[int]:
    """``list_files_by_ais().load_files_by_ais()``."""
    return (len(stream.read()) for _, stream in _files(job))


def tar(job: Job) -> Iterator[int]:
    """``load_files_by_ais().load_from_tar()``, every member read."""
    return (len(stream.read()) for _, stream in _files(job).load_from_tar())


def _files(job: Job) -> AISFileLoader:
    urls = IterableWrapper([job.prefix_url]).list_files_by_ais(url=job.endpoint)
    return urls.load_files_by_ais(url=job.endpoint)
