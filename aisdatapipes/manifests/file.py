"""The file of a manifest: what is in it, and where it lies while it is in use.

It is a packed file. Behind the header it has these parts: where each name ends in the text of
names, 8 bytes each; sizes, likewise; for each object which of the header's buckets it is in,
4 bytes; the names, as one UTF-8 text.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import asdict, dataclass

from aisdatapipes.errors import ManifestError
from aisdatapipes.manifests.packed_file import MappedFile, PackedFormat, digest_of
from aisdatapipes.processes.shared_file import SharedFile

__all__ = ["MANIFEST", "BucketReference", "ManifestFile", "pack_manifest"]

MANIFEST = PackedFormat(b"AISmnfst", 1, "manifest", ManifestError)


@dataclass(frozen=True)
class BucketReference:
    """A bucket that objects of a manifest are in.

    Attributes:
        bucket_url: ``provider://bucket``, with its namespace if it has one.
        cluster: Endpoint of its cluster; empty for the dataset's own.
    """

    bucket_url: str
    cluster: str = ""


def pack_manifest(
    buckets: list[BucketReference],
    ends: array,
    sizes: array,
    numbers: array,
    names: bytes | bytearray,
) -> bytes:
    """Return the bytes of a file.

    Args:
        buckets: Of all objects together.
        ends: Where each name ends in `names`.
        sizes: Bytes of each object, -1 where unknown.
        numbers: Of each object, its bucket's number in `buckets`.
        names: All names, without anything between them.
    """
    header = {
        "objects": len(ends),
        "places": [asdict(bucket) for bucket in buckets],
        "fingerprint": _fingerprint(buckets, ends, sizes, numbers, names),
    }
    return MANIFEST.pack(header, ends, sizes, numbers, names)


class ManifestFile(MappedFile):
    """A manifest's file in use; its contents are views of it, nothing is copied.

    Args:
        file: The file.

    Attributes:
        buckets: Of all objects together.
        ends: Where each name ends in `names`.
        sizes: Bytes of each object, -1 where unknown.
        bucket_numbers: Of each object, its bucket's number in `buckets`.
        names: All names, without anything between them.
        fingerprint: Hexadecimal digest of buckets, names and sizes, without the clusters.

    Raises:
        ManifestError: It is of another version or byte order.
    """

    def __init__(self, file: SharedFile) -> None:
        super().__init__(file)
        view = self.data
        header, start = MANIFEST.header_of(view)
        count = header["objects"]
        ends, sizes, numbers = start + 8 * count, start + 16 * count, start + 20 * count
        self.ends = view[start:ends].cast("q")
        self.sizes = view[ends:sizes].cast("q")
        self.bucket_numbers = view[sizes:numbers].cast("I")
        self.names = view[numbers:]
        self.buckets = [BucketReference(**bucket) for bucket in header["places"]]
        self.fingerprint: str = header["fingerprint"]


def _fingerprint(buckets: list[BucketReference], *buffers: array | bytes | bytearray) -> str:
    clusters = list(dict.fromkeys(bucket.cluster for bucket in buckets))
    known = [[bucket.bucket_url, clusters.index(bucket.cluster)] for bucket in buckets]
    return digest_of(json.dumps([MANIFEST.version, known]).encode(), *buffers).hexdigest()
