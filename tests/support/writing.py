"""What the tests of writing ask the cluster, past all code under test."""

from __future__ import annotations

import re
from urllib.parse import quote

import requests
from aistore.sdk import Bucket

from aisdatapipes import Settings
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["QUICK", "content_of", "request_of", "uploads_in"]

QUICK = Settings(max_retries=2, first_backoff_s=0.005, max_backoff_s=0.02, read_timeout_s=0.5)


def request_of(
    bucket: Bucket, name: str, endpoint: str = "", settings: Settings = QUICK
) -> ObjectRequest:
    """Return what it takes to write an object, through `endpoint` if that is given."""
    endpoint = endpoint or bucket.client.base_url.removesuffix("/v1")
    return ObjectRequest.parse(f"ais://{bucket.name}/{name}", endpoint, settings)


def content_of(bucket: Bucket, name: str) -> bytes | None:
    """Return what an object holds; None if there is none."""
    url = f"{bucket.client.base_url}/objects/{bucket.name}/{quote(name)}"
    answer = requests.get(url, params=bucket.qparam, timeout=30)
    assert answer.status_code in (200, 404), answer.text
    return answer.content if answer.ok else None


def uploads_in(bucket: Bucket) -> list[str]:
    """Return the names of the objects that have an upload which is not completed."""
    endpoint = bucket.client.base_url.removesuffix("/v1")
    answer = requests.get(f"{endpoint}/s3/{bucket.name}?uploads", timeout=30)
    assert answer.ok, answer.text
    return re.findall("<Key>(.*?)</Key>", answer.text)
