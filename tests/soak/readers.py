"""The table of readers: that of `outages`, and streams of shards beside it."""

from __future__ import annotations

from typing import Any

from aistore.sdk import DataShard
from torch.utils.data import DataLoader

from aisdatapipes import AISMultiShardStream
from outages.contents import SAMPLES, content
from outages.readers import READERS as OUTAGE_READERS
from outages.readers import Pair, Place, Reader

__all__ = ["READERS", "streams"]

_KEY_OF = {content(key): key for key in SAMPLES}


def name_tuple(files: tuple[bytes, ...]) -> Pair:
    """Return the key of files that are equal, as those of a tuple have to be here."""
    first, second = files
    return _KEY_OF.get(first, "of no object") if first == second else "no pair", first


def streams(place: Place, workers: int) -> tuple[DataLoader[Any], Any]:
    """List the shards twice, and read them side by side."""
    bucket = place.bucket.removeprefix("ais://")
    sources = [DataShard(place.endpoint, bucket, prefix="shards/") for _ in range(2)]
    dataset = AISMultiShardStream(sources, transform=name_tuple, **place.options)
    return DataLoader(dataset, None, num_workers=workers), dataset.skipped_urls


READERS = [
    *OUTAGE_READERS,
    Reader("AISMultiShardStream", SAMPLES, streams),
    Reader("AISMultiShardStream", SAMPLES, streams, 2),
]
"""All of them."""
