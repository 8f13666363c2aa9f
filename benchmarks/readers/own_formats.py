"""Loaders with a format of their own, which the samples were converted to, by AIStore's S3.

Each reads in two ways, and its cache is empty at the beginning. By its own shuffle it copies the
files of its format to the local disk, each once, and shuffles what is there. By index it has to
give any sample next, as a true shuffle over more data than its cache holds makes it.

Their packages are in a folder of their own, see the Makefile: one of them needs an older NumPy.
"""

from __future__ import annotations

import os
import random
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from benchmarks.job import Job
from benchmarks.readers.s3_access import endpoint
from benchmarks.storing import Store

__all__ = ["litdata", "litdata_by_index", "mosaicml", "mosaicml_by_index"]

# What is in there is none of the environment's.
# pyright: reportMissingImports=false

_FOLDER = Path(__file__).parents[2] / ".venv-formats"
_BATCH = 256
_MDS_SHARD_BYTES = 2**26  # its default
_LEAST_CACHE_BYTES = 4 * _MDS_SHARD_BYTES  # it refuses less

sys.path.insert(0, str(_FOLDER))


def mosaicml(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of MosaicML by its own shuffle, with room for all on the disk."""
    from streaming import StreamingDataLoader

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = _mosaicml(job, cache_folder, shuffle=True)
        for batch in StreamingDataLoader(dataset, batch_size=_BATCH, collate_fn=list):
            yield from map(_size, batch)


def mosaicml_by_index(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of MosaicML by index, with the smallest cache that it takes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = _mosaicml(job, cache_folder, cache_limit=_LEAST_CACHE_BYTES)
        numbers = random.sample(range(job.items), job.items)
        yield from (_size(dataset[number]) for number in numbers)


def litdata(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of litData by its own shuffle, with room for all on the disk.

    Chunks of 64 MB come in a random order, and the samples of one chunk after another.
    """
    from litdata import StreamingDataLoader

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = _litdata(job, cache_folder, shuffle=True)
        for batch in StreamingDataLoader(dataset, batch_size=_BATCH, collate_fn=list):
            yield from map(_size, batch)


def litdata_by_index(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of litData by index, for which it reads ranges and keeps nothing."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = _litdata(job, cache_folder)
        numbers = random.sample(range(job.items), job.items)
        yield from (_size(dataset[number]) for number in numbers)


def _mosaicml(job: Job, cache_folder: str, **options: Any) -> Any:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    _store_mds(job.endpoint, job.folder)
    os.environ["S3_ENDPOINT_URL"] = endpoint(job)
    clean_stale_shared_memory()
    return StreamingDataset(remote="s3://mds", local=cache_folder, batch_size=_BATCH, **options)


def _litdata(job: Job, cache_folder: str, **options: Any) -> Any:
    from litdata import StreamingDataset

    _store_chunks(job.endpoint, job.folder)
    access = {
        "endpoint_url": endpoint(job),
        "aws_access_key_id": "none",
        "aws_secret_access_key": "none",
    }
    return StreamingDataset(
        "s3://litdata/chunks", cache_dir=cache_folder, storage_options=access, **options
    )


def _size(sample: dict[str, bytes]) -> int:
    return len(sample["jpg"]) + len(sample["cls"])


@cache
def _store_mds(address: str, folder: str) -> None:
    from streaming import MDSWriter

    if not _is_made(address, "mds"):
        return
    with tempfile.TemporaryDirectory() as made:
        columns = {"jpg": "bytes", "cls": "bytes"}
        with MDSWriter(out=made, columns=columns, size_limit=_MDS_SHARD_BYTES) as writer:
            for sample in _samples_in(folder):
                writer.write(sample)
        _upload(address, "mds", Path(made), "")


@cache
def _store_chunks(address: str, folder: str) -> None:
    from litdata.streaming.writer import BinaryWriter

    if not _is_made(address, "litdata"):
        return
    with tempfile.TemporaryDirectory() as made:
        writer = BinaryWriter(made, chunk_bytes="64MB")
        for number, sample in enumerate(_samples_in(folder)):
            writer[number] = sample
        writer.done()
        writer.merge(1)
        _upload(address, "litdata", Path(made), "chunks/")


def _samples_in(folder: str) -> Iterator[dict[str, Any]]:
    for path in sorted(Path(folder).glob("*.tar")):
        with tarfile.open(path) as tar:
            files = (tar.extractfile(member) for member in tar)
            for image, label in zip(files, files, strict=True):
                if image and label:
                    yield {"jpg": image.read(), "cls": label.read()}


def _is_made(address: str, bucket: str) -> bool:
    """Make a bucket, and return whether there was none: another reader may have filled it."""
    try:
        Store(address).create_bucket(bucket, "md5")
    except HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:
            raise
        return False
    return True


def _upload(address: str, bucket: str, folder: Path, prefix: str) -> None:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    Store(address).put_all(bucket, ((prefix + path.name, path.read_bytes()) for path in files))
