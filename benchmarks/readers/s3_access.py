"""What clients of S3 have to know of AIStore's S3 endpoint."""

from __future__ import annotations

import os

from benchmarks.job import Job

__all__ = ["REGION", "endpoint"]

REGION = "us-east-1"

# AIStore asks for none, but the clients do not start without.
os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}


def endpoint(job: Job) -> str:
    """Return the address of the S3 endpoint."""
    return f"{job.endpoint}/s3"
