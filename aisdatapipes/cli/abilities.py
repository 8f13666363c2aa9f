"""Abilities: what a cluster can do that makes reading fast. Nothing is written to find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any

from aisdatapipes.cli.finding import Finding, bad, good, unknown
from aisdatapipes.client.connection import bucket_for, client_for
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError
from aisdatapipes.listing.bucket_listing import list_sizes
from aisdatapipes.reading.batches import BatchStream, can_batch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.urls import ParsedURL

__all__ = ["check_abilities"]

_MOST_BUCKETS, _MOST_OBJECTS, _LOOKED_AT = 8, 16, 100
_MOST_BYTES = 2**20
_NO_BUCKET = "aisdatapipes-doctor-looks-for-none"
_INDEX = "shard index"

Ask = Callable[[str, dict[str, Any]], Any]
"""Sends a GET to a path of the cluster with a body of JSON, and returns the answer, whatever its
status."""


def check_abilities(address: str, settings: Settings, ask: Ask) -> Iterator[Finding]:
    """Yield what is found: whether this job is let in, GetBatch, and the index of shards.

    Args:
        address: Of the cluster.
        settings: How long to wait.
        ask: See there.
    """
    try:
        buckets = _buckets(address, settings)
    except AISPipeError as error:
        yield bad("access", error.message)
        yield unknown("GetBatch", "the buckets cannot be listed")
    else:
        yield good("access", f"buckets that can be seen: {len(buckets):,}")
        yield _batches(buckets, address, settings)
    yield _shard_index(address, ask)


def _buckets(address: str, settings: Settings) -> list[ParsedURL]:
    with translated_errors(ParsedURL("ais", "*"), address, "list the buckets of"):
        found = client_for(address, settings).cluster().list_buckets()
    # Those of AIStore's own come first: to look into others may cost the cloud's money.
    urls = [ParsedURL(str(one.provider), one.name) for one in found if one.name[0] != "."]
    return sorted(urls, key=lambda url: url.provider != "ais")


def _batches(buckets: list[ParsedURL], address: str, settings: Settings) -> Finding:
    """Read a few objects by GetBatch, from the first bucket that has small ones."""
    own = [url for url in buckets if url.provider == "ais"]
    reason = "there is no ais:// bucket with a small object: put one there"
    for bucket in own[:_MOST_BUCKETS]:
        try:
            requests = _requests(bucket, address, settings)
        except AISPipeError as error:  # that one may be another user's
            reason = error.message
            continue
        if requests:
            return _batch(bucket, requests)
    return unknown("GetBatch", reason)


def _requests(bucket: ParsedURL, address: str, settings: Settings) -> list[ObjectRequest]:
    listed = list_sizes(
        bucket_for(bucket, address, settings), bucket, address, _LOOKED_AT, allow_empty=True
    )
    names = [name for name, size in islice(listed, _LOOKED_AT) if size <= _MOST_BYTES]
    urls = [ParsedURL(bucket.provider, bucket.bucket, name) for name in names]
    requests = [ObjectRequest(url, address, settings) for url in urls]
    return [request for request in requests if can_batch(request)][:_MOST_OBJECTS]


def _batch(bucket: ParsedURL, requests: list[ObjectRequest]) -> Finding:
    try:
        stream = BatchStream(requests)
        sizes = [(stream.next_size(request), len(stream.content())) for request in requests]
        stream.finish()
    except AISPipeError as error:
        return bad(
            "GetBatch",
            f"{error.message}: update AIStore, or read with max_batch=1; until then small objects "
            "are slower",
        )
    read = sum(size for _, size in sizes)
    objects = f"{len(sizes)} objects" if len(sizes) > 1 else "an object"
    return good("GetBatch", f"works: read {objects} ({read:,} bytes) of {bucket.bucket_url}")


def _shard_index(address: str, ask: Ask) -> Finding:
    """Ask for a summary of the shards in a bucket that is not there: is the action known?"""
    action = {"action": "summary-shard", "value": {}}
    try:
        answer = ask(f"{address}/v1/buckets/{_NO_BUCKET}?provider=ais", action)
    except AISPipeError as error:
        return unknown(_INDEX, error.message)
    status = HTTPStatus(answer.status_code)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.ACCEPTED, HTTPStatus.OK):
        return good(_INDEX, "the cluster can index shards itself")
    if status == HTTPStatus.BAD_REQUEST:  # "invalid action"
        return bad(
            _INDEX,
            "the cluster knows none: update AIStore; until then an index is made by reading every "
            "shard once",
        )
    return unknown(_INDEX, f"the cluster answers {status} ({status.phrase})")
