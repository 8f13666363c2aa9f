"""The demo's own buckets: made for it, filled through the SDK, and removed after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from uuid import uuid4

from aistore.sdk import Bucket
from tqdm import tqdm

from aisdatapipes.client.connection import client_for
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError
from aisdatapipes.urls import ParsedURL

__all__ = ["fresh_bucket", "put_files"]


@contextmanager
def fresh_bucket(endpoint: str, purpose: str) -> Iterator[Bucket]:
    """Make a bucket that was not there before, and remove it after the block.

    Args:
        endpoint: Address of the cluster.
        purpose: What it holds, for its name, ``aisdatapipes-demo-purpose-1a2b3c4d``.

    Raises:
        AISPipeError: The cluster failed; an error from inside the block goes before one from
            the removal.
    """
    url = ParsedURL("ais", f"aisdatapipes-demo-{purpose}-{uuid4().hex[:8]}")
    bucket = client_for(endpoint, Settings()).bucket(url.bucket)
    try:
        with translated_errors(url, endpoint):
            bucket.create()
        yield bucket
    except BaseException:
        # Also after a failed creation: the cluster may have made the bucket and not said so.
        with suppress(AISPipeError), translated_errors(url, endpoint):
            bucket.delete(missing_ok=True)
        raise
    with translated_errors(url, endpoint):
        bucket.delete(missing_ok=True)


def put_files(bucket: Bucket, files: Mapping[str, bytes], endpoint: str) -> int:
    """Store `files`, name to content, as objects, with a progress bar on a terminal.

    Returns:
        Their bytes.

    Raises:
        AISPipeError: The cluster failed.
    """
    stored = 0
    progress = tqdm(files.items(), "storing", unit=" objects", disable=None, leave=False)
    for name, content in progress:
        with translated_errors(ParsedURL("ais", bucket.name, name), endpoint):
            bucket.object(name).get_writer().put_content(content)
        stored += len(content)
    return stored
