"""Versions of shards: what a listing says that tells each from another one of its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os.path import commonprefix

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.distributed.rank_sharing import share_between_ranks
from aisdatapipes.errors import ObjectChangedError
from aisdatapipes.listing.bucket_listing import list_versions
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.urls import format_url

__all__ = ["check_versions", "checksum_of", "is_of_version", "size_of", "versions_of"]


def versions_of(requests: Sequence[ObjectRequest]) -> list[str]:
    """Return size and checksum of every shard, as one text; empty for one that is not there.

    They are listed, of every bucket what is under the common beginning of the names.

    Raises:
        AISPipeError: The cluster cannot be asked.
    """
    groups: dict[tuple, list[int]] = {}
    for number, request in enumerate(requests):
        bucket_url = format_url(replace(request.url, name="", endpoint="", etl=None))
        groups.setdefault((request.endpoint, bucket_url), []).append(number)
    versions = [""] * len(requests)
    for numbers in groups.values():
        found = _listed([requests[number] for number in numbers])
        for number in numbers:
            versions[number] = found.get(requests[number].url.name, "")
    return versions


def check_versions(requests: Sequence[ObjectRequest], before: Sequence[str], key: str) -> None:
    """Make sure that shards are still of some versions; of several ranks, one asks for all.

    Args:
        requests: The shards.
        before: Their versions.
        key: What it is, the same text in all ranks.

    Raises:
        ObjectChangedError: A shard was replaced or is gone.
        AISPipeError: The cluster cannot be asked.
    """
    lines = share_between_ranks(key, lambda: "\n".join(versions_of(requests)).encode())
    now = lines.decode().split("\n")[: len(requests)]
    for request, old, new in zip(requests, before, now, strict=True):
        if old != new:
            what = "was replaced" if new else "is gone"
            raise ObjectChangedError(
                f"{request.label} {what} since it was indexed: build the index again"
            )


def size_of(version: str) -> int:
    """Return the bytes of a shard of this version.

    Example:
        >>> size_of("15360 ae87581f73bf892d")
        15360
    """
    return int(version.partition(" ")[0] or 0)


def checksum_of(version: str) -> str:
    """Return its checksum, or what is in place of one."""
    return version.partition(" ")[2]


def is_of_version(fingerprint: str, version: str) -> bool:
    """Whether what a response says of a shard of AIStore's own is of a version.

    Args:
        fingerprint: As `ObjectVersion` has it.
        version: As `versions_of` has it.

    Example:
        >>> is_of_version("xxhash2:ae87581f73bf892d", "15360 ae87581f73bf892d")
        True
    """
    kind, _, mark = fingerprint.partition(":")
    is_checksum = kind not in ("ETag", "Ais-Version", "size")
    return not is_checksum or mark == checksum_of(version)[: len(mark)]


def _listed(requests: Sequence[ObjectRequest]) -> dict[str, str]:
    first = requests[0]
    names = {request.url.name for request in requests}
    prefix = commonprefix(list(names))  # noqa: RUF071 - what is listed is a prefix of names
    bucket = bucket_for(first.url, first.endpoint, first.settings)
    url = replace(first.url, name=prefix, endpoint="", etl=None)
    listed = list_versions(bucket, url, first.endpoint, first.settings.page_size)
    return {name: f"{size} {mark}" for name, size, mark in listed if name in names}
