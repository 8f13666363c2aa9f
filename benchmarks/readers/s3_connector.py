"""s3torchconnector, at AIStore's own S3 endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from s3torchconnector import (  # pyright: ignore[reportMissingImports] - of the bench extra
    S3ClientConfig,
    S3IterableDataset,
)

from benchmarks.job import Job
from benchmarks.readers.s3_access import REGION, endpoint

__all__ = ["files"]


def files(job: Job) -> Iterator[int]:
    """``S3IterableDataset``."""
    dataset = S3IterableDataset.from_prefix(
        f"s3://{job.bucket}/{job.prefix}",
        region=REGION,
        endpoint=endpoint(job),
        s3client_config=S3ClientConfig(force_path_style=True),
    )
    return (len(reader.read()) for reader in dataset)
