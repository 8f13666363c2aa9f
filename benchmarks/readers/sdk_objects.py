"""The objects of the AIStore SDK, written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from aistore.sdk import Client

from benchmarks.job import Job
from benchmarks.readers.files import content_of

__all__ = ["write"]


def write(job: Job) -> Iterator[int]:
    """``put_content``; yields the bytes that are there then."""
    for name in job.names:
        target = _client(job.endpoint).bucket(job.bucket).object(name)
        target.get_writer().put_content(_content(job.size))
        yield target.head().size


@cache
def _client(endpoint: str) -> Client:
    return Client(endpoint)


@cache
def _content(size: int) -> bytes:
    return bytes(content_of(size))
