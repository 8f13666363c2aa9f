"""Limits: what the cluster and the wire give to those who do nothing with it.

What these yield are pieces as they come, not items.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import urllib3

from benchmarks.job import Job

__all__ = ["curl", "drain", "get_batch"]

_PIECE_BYTES = 2**20
_BATCH = 1000
_CONNECTIONS = 16

_pool = urllib3.PoolManager()


def get_batch(job: Job) -> Iterator[int]:
    """GetBatch of a thousand objects at a time, their names known; the tar is not looked at."""
    url = f"{job.endpoint}/v1/ml/moss/{job.bucket}?provider=ais"
    for first in range(0, len(job.names), _BATCH):
        entries = [{"objname": name} for name in job.names[first : first + _BATCH]]
        request = {"in": entries, "mime": ".tar", "coer": True, "strm": True}
        yield from _pieces(url, json.dumps(request))


def drain(job: Job) -> Iterator[int]:
    """One GET after the other through urllib3; the content is not looked at."""
    for name in job.names:
        yield from _pieces(job.object_url(name))


def curl(job: Job) -> Iterator[int]:
    """One ``curl`` with up to 16 connections, which writes to nowhere."""
    lines = [f'url = "{job.object_url(name)}"\noutput = "/dev/null"\n' for name in job.names]
    parallel = ["--parallel", "--parallel-immediate", "--parallel-max", str(_CONNECTIONS)]
    done = subprocess.run(
        ["curl", "-s", "-L", "-f", *parallel, "-w", "%{size_download}\n", "--config", "-"],
        input="".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    return map(int, done.stdout.split())


def _pieces(url: str, body: str | None = None) -> Iterator[int]:
    headers = {"Content-Type": "application/json"} if body else {}
    response = _pool.request("GET", url, body=body, headers=headers, preload_content=False)
    if response.status != 200:
        raise RuntimeError(f"{url} answers {response.status}: {response.read(500)!r}")
    while piece := response.read(_PIECE_BYTES):
        yield len(piece)
    response.release_conn()
