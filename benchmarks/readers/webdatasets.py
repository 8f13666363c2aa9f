"""webdataset, over ``curl``."""

from __future__ import annotations

from collections.abc import Iterator

from webdataset.compat import WebDataset  # pyright: ignore[reportMissingImports] - bench extra

from benchmarks.job import Job

__all__ = ["samples"]


def samples(job: Job) -> Iterator[int]:
    """``WebDataset`` of ``pipe:curl``, in the order of the shards."""
    urls = [f"pipe:curl -s -L '{job.object_url(name)}'" for name in job.names]
    for sample in WebDataset(urls, shardshuffle=False):
        yield sum(len(value) for value in sample.values() if isinstance(value, bytes))
