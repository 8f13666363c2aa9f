"""The control: the same objects by requests that this package has no part in."""

from __future__ import annotations

from collections.abc import Sequence

import requests

__all__ = ["read_bare"]

_PER_REQUEST = 512


def read_bare(endpoint: str, bucket: str, names: Sequence[str]) -> int:
    """Read objects by GetBatch requests, one after the other, and throw away what comes.

    Returns:
        How many bytes came.
    """
    total = 0
    with requests.Session() as session:
        for first in range(0, len(names), _PER_REQUEST):
            part = names[first : first + _PER_REQUEST]
            objects = [{"objname": name, "bucket": bucket, "provider": "ais"} for name in part]
            body = {"in": objects, "mime": ".tar", "coer": True, "strm": True}
            answer = session.get(f"{endpoint}/v1/ml/moss", json=body)
            answer.raise_for_status()
            total += len(answer.content)
    return total
