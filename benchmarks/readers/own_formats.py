"""Loaders with a format of their own, which the samples were converted to, by AIStore's S3.

Their packages are in a folder of their own, see the Makefile: one of them needs an older NumPy.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.job import Job
from benchmarks.readers.s3_access import endpoint
from benchmarks.storing import Store

__all__ = ["litdata", "mosaicml"]

# What is in there is none of the environment's.
# pyright: reportMissingImports=false

_FOLDER = Path(__file__).parents[2] / ".venv-formats"
_BATCH = 256

sys.path.insert(0, str(_FOLDER))


def mosaicml(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of MosaicML, shuffled; its cache is empty at the beginning."""
    from streaming import StreamingDataLoader, StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    _store_mds(job.endpoint, job.folder)
    os.environ["S3_ENDPOINT_URL"] = endpoint(job)
    clean_stale_shared_memory()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = StreamingDataset(
            remote="s3://mds", local=cache_folder, shuffle=True, batch_size=_BATCH
        )
        for batch in StreamingDataLoader(dataset, batch_size=_BATCH, collate_fn=list):
            yield from (len(one["jpg"]) + len(one["cls"]) for one in batch)


def litdata(job: Job) -> Iterator[int]:
    """``StreamingDataset`` of litData, shuffled; its cache is empty at the beginning."""
    from litdata import StreamingDataLoader, StreamingDataset

    _store_chunks(job.endpoint, job.folder)
    options = {
        "endpoint_url": endpoint(job),
        "aws_access_key_id": "none",
        "aws_secret_access_key": "none",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache_folder:
        dataset = StreamingDataset(
            "s3://litdata/chunks", cache_dir=cache_folder, shuffle=True, storage_options=options
        )
        for batch in StreamingDataLoader(dataset, batch_size=_BATCH, collate_fn=list):
            yield from (len(one["jpg"]) + len(one["cls"]) for one in batch)


@cache
def _store_mds(address: str, folder: str) -> None:
    from streaming import MDSWriter

    with tempfile.TemporaryDirectory() as made:
        with MDSWriter(out=made, columns={"jpg": "bytes", "cls": "bytes"}) as writer:
            for sample in _samples_in(folder):
                writer.write(sample)
        _upload(address, "mds", Path(made), "")


@cache
def _store_chunks(address: str, folder: str) -> None:
    from litdata.streaming.writer import BinaryWriter

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


def _upload(address: str, bucket: str, folder: Path, prefix: str) -> None:
    cluster = Store(address)
    cluster.create_bucket(bucket, "md5")
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    cluster.put_all(bucket, ((prefix + path.name, path.read_bytes()) for path in files))
