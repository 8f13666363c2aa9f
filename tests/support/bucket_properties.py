"""Properties of buckets that change what the cluster tells of their objects."""

from __future__ import annotations

import requests
from aistore.sdk import Bucket

__all__ = ["set_checksum"]


def set_checksum(bucket: Bucket, kind: str, *, versioned: bool = True) -> None:
    """Let the cluster keep checksums of a kind, ``none`` for no checksums, from now on."""
    value = {"checksum": {"type": kind}, "versioning": {"enabled": versioned}}
    response = requests.patch(
        f"{bucket.client.base_url}/buckets/{bucket.name}",
        params=bucket.qparam,
        json={"action": "set-bprops", "value": value},
        timeout=30,
    )
    response.raise_for_status()
