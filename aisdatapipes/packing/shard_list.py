"""Shard list: the manifest of shards whose names and sizes are known already."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate

from aisdatapipes.manifests.file import BucketReference, pack_manifest
from aisdatapipes.manifests.gathering import ENCODING
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["manifest_of"]


def manifest_of(shards: Sequence[ObjectRequest], sizes: Sequence[int]) -> Manifest:
    """Return the manifest that a listing of just these shards would give; sends no request.

    Args:
        shards: One at least, all of one bucket.
        sizes: Their bytes.

    Example:
        >>> from aisdatapipes import Settings
        >>> request = ObjectRequest.parse("ais://coco/0.tar", "http://localhost:8080", Settings())
        >>> list(manifest_of([request], [2048]))
        [ManifestEntry(url='ais://coco/0.tar', name='0.tar', size=2048)]
    """
    names = [shard.url.name.encode(*ENCODING) for shard in shards]
    data = pack_manifest(
        [BucketReference(shards[0].url.bucket_url)],
        array("q", accumulate(map(len, names))),
        array("q", sizes),
        array("I", bytes(array("I").itemsize * len(names))),
        b"".join(names),
    )
    return Manifest(data, shards[0].endpoint)
