"""The filesystems of fsspec that read and write AIStore; all take paths ``bucket/name``."""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

from benchmarks.job import Job
from benchmarks.readers.s3_access import REGION, endpoint

__all__ = ["filesystem"]


def filesystem(job: Job) -> Any:
    """Return the filesystem that ``job.options["protocol"]`` names, the same one every time."""
    return _MAKERS[job.options["protocol"]](job.endpoint, job.bucket, endpoint(job))


@cache
def _ours(address: str, _bucket: str, _s3: str) -> Any:
    return fsspec.filesystem("ais", endpoint=address)


@cache
def _s3fs(_address: str, _bucket: str, s3: str) -> Any:
    return fsspec.filesystem(
        "s3",
        endpoint_url=s3,
        client_kwargs={"region_name": REGION},
        config_kwargs={"s3": {"addressing_style": "path"}},
    )


@cache
def _multi_storage(address: str, bucket: str, _s3: str) -> Any:
    """Return that of multi-storage-client, with its provider for AIStore."""
    provider = {"type": "ais", "options": {"endpoint": address, "base_path": bucket}}
    config = Path(tempfile.mkdtemp(), "config.json")
    config.write_text(json.dumps({"profiles": {bucket: {"storage_provider": provider}}}))
    os.environ["MSC_CONFIG"] = str(config)
    from multistorageclient.contrib.async_fs import (  # pyright: ignore[reportMissingImports]
        MultiStorageAsyncFileSystem,
    )

    return MultiStorageAsyncFileSystem()


_MAKERS = {"ais": _ours, "s3": _s3fs, "msc": _multi_storage}
