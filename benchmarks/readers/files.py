"""Works of files, by any filesystem of fsspec; ``job.options["protocol"]`` says by which."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks.job import Job
from benchmarks.readers.filesystems import filesystem

__all__ = [
    "cat",
    "cat_ranges",
    "columns",
    "content_of",
    "copy",
    "copy_one_by_one",
    "find",
    "get",
    "get_one_by_one",
    "open_each",
    "prepare",
    "stream",
    "write",
]

_PIECE_BYTES = 2**20


def prepare(job: Job) -> None:
    """Import and make the filesystem, which is no work."""
    filesystem(job)


def cat(job: Job) -> Iterator[int]:
    """``cat`` of a list of paths."""
    return map(len, filesystem(job).cat(_paths(job)).values())


def cat_ranges(job: Job) -> Iterator[int]:
    """``cat_ranges`` of one file, at random places."""
    length = job.size // job.items
    generator = random.Random(4)  # noqa: S311 - places, no secret
    last = job.options["of_bytes"] - length
    starts = [generator.randrange(last) for _ in range(job.items)]
    ends = [start + length for start in starts]
    return map(len, filesystem(job).cat_ranges(_paths(job) * job.items, starts, ends))


def open_each(job: Job) -> Iterator[int]:
    """``open`` and ``read``, file after file."""
    for path in _paths(job):
        with filesystem(job).open(path, "rb") as file:
            yield len(file.read())


def stream(job: Job) -> Iterator[int]:
    """``open`` of each file, a mebibyte at a time."""
    for path in _paths(job):
        with filesystem(job).open(path, "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield len(piece)


def columns(job: Job) -> Iterator[int]:
    """Two columns of a parquet file, by pyarrow; yields the rows."""
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports] - of the bench extra

    for path in _paths(job):
        table = pq.read_table(path, filesystem=filesystem(job), columns=["column3", "column11"])
        yield table.num_rows


def find(job: Job) -> Iterator[int]:
    """``find`` of a folder, not remembered from the time before."""
    files = filesystem(job)
    files.invalidate_cache()
    return (1 for _ in files.find(_folder(job)))


def get(job: Job) -> Iterator[int]:
    """``get`` of a folder, over the files of the time before."""
    target = _local_folder()
    filesystem(job).get(f"{_folder(job)}/", f"{target}/", recursive=True)
    return (one.stat().st_size for one in target.iterdir())


def get_one_by_one(job: Job) -> Iterator[int]:
    """``get_file`` of each."""
    target = _local_folder()
    for path in _paths(job):
        local = target / path.rpartition("/")[2]
        filesystem(job).get_file(path, str(local))
        yield local.stat().st_size


def copy(job: Job) -> Iterator[int]:
    """``cp -r`` of a folder, over the files of the time before."""
    files = filesystem(job)
    files.copy(f"{_folder(job)}/", f"{_copy_folder(job)}/", recursive=True)
    return iter([1] * job.items)


def copy_one_by_one(job: Job) -> Iterator[int]:
    """``cp_file`` of each."""
    for path in _paths(job):
        filesystem(job).cp_file(path, f"{_copy_folder(job)}/{path.rpartition('/')[2]}")
        yield 1


def write(job: Job) -> Iterator[int]:
    """``open`` for writing, a mebibyte at a time; yields the bytes that are there then."""
    content = content_of(job.size)
    for path in _paths(job):
        with filesystem(job).open(path, "wb") as file:
            for start in range(0, job.size, _PIECE_BYTES):
                file.write(content[start : start + _PIECE_BYTES])
        yield filesystem(job).info(path)["size"]


@cache
def content_of(size: int) -> memoryview:
    """Return what is written, the same every time."""
    return memoryview(random.Random(5).randbytes(_PIECE_BYTES) * (size // _PIECE_BYTES))  # noqa: S311


def _paths(job: Job) -> list[str]:
    return [f"{job.bucket}/{name}" for name in job.names]


def _folder(job: Job) -> str:
    return f"{job.bucket}/{job.prefix}".rstrip("/")


def _copy_folder(job: Job) -> str:
    return f"{job.bucket}/copies-{job.options['protocol']}"


@cache
def _local_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="aisdatapipes-bench-"))
