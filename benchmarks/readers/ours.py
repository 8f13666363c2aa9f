"""aisdatapipes."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import DataLoader

import aisdatapipes
from aisdatapipes.datapipes import IterableWrapper
from benchmarks.job import Job
from benchmarks.readers.loading import batch_of_sizes, loader_settings

__all__ = ["files", "files_in_workers", "names", "samples", "stream", "tar"]

_PIECE_BYTES = 2**20


def names(job: Job) -> Iterator[int]:
    """``list_files_by_ais``."""
    return (1 for _ in _urls(job))


def files(job: Job) -> Iterator[int]:
    """``list_files_by_ais().load_files_by_ais()``."""
    for _, stream in _urls(job).load_files_by_ais(url=job.endpoint):
        yield len(stream.read())


def files_in_workers(job: Job) -> Iterator[int]:
    """The same behind ``sharding_filter`` in a DataLoader."""
    pipe = _urls(job).sharding_filter().load_files_by_ais(url=job.endpoint).map(_read)
    for sizes in DataLoader(pipe, collate_fn=batch_of_sizes, **loader_settings(job)):
        yield from sizes


def tar(job: Job) -> Iterator[int]:
    """``load_files_by_ais().load_from_tar()``, every member read."""
    for _, stream in _urls(job).load_files_by_ais(url=job.endpoint).load_from_tar():
        yield len(stream.read())


def samples(job: Job) -> Iterator[int]:
    """``load_samples_by_ais``."""
    for sample in _urls(job).load_samples_by_ais(url=job.endpoint):
        yield sum(len(value) for value in sample.values() if isinstance(value, bytes))


def stream(job: Job) -> Iterator[int]:
    """``load_files_by_ais``, read as a file, a mebibyte at a time."""
    for _, opened in _urls(job).load_files_by_ais(url=job.endpoint):
        while piece := opened.read(_PIECE_BYTES):
            yield len(piece)


def _urls(job: Job) -> aisdatapipes.AISFileLister:
    return IterableWrapper([job.prefix_url]).list_files_by_ais(url=job.endpoint)


def _read(item: tuple) -> tuple[str, bytes]:
    url, stream = item
    return url, stream.read()
