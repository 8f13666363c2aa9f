"""Scanning: where the samples of a shard are, by a pass over the headers of its members.

Small members are read over, as that costs less than requests; where a member is big, what follows
it is requested by range. All responses are of one version of the shard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from aisdatapipes.errors import AISPipeError, BadArchiveError, ObjectChangedError
from aisdatapipes.indexes.shard_samples import IndexedSample, ShardSamples
from aisdatapipes.indexes.versions import is_of_version
from aisdatapipes.reading.ranged_object import RangedObject
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry
from aisdatapipes.tar import TarReader

__all__ = ["FoundSamples", "scan_shard"]

_BIG_BYTES = 2**20


@dataclass
class FoundSamples:
    """What was found in a shard.

    Attributes:
        samples: In order; those before the error, if there is one.
        error: Why it was not read to its end.
        dropped: How many files belong to no sample.
    """

    samples: list[IndexedSample] = field(default_factory=list)
    error: AISPipeError | None = None
    dropped: int = 0


def scan_shard(request: ObjectRequest, version: str) -> FoundSamples:
    """Return which samples a shard has, or has before what is wrong with it.

    Args:
        request: The shard.
        version: As `versions_of` has it; a shard of another one has none.
    """
    shard = ShardSamples(request.label)
    try:
        with retry(partial(RangedObject, request), request) as file:
            _check_version(file, request, version)
            begin: int | None = 0
            while begin is not None:
                file.seek(begin)
                begin = _scan(TarReader(file, request.label, begin), begin, shard, request.label)
    except AISPipeError as error:
        return FoundSamples(shard.whole(), error, shard.dropped)
    return FoundSamples(shard.samples, None, shard.dropped)


def _check_version(file: RangedObject, request: ObjectRequest, version: str) -> None:
    # A cloud's listing has another checksum than what the cluster has cached.
    if request.url.provider == "ais" and not is_of_version(file.fingerprint, version):
        raise ObjectChangedError(f"{request.label} was replaced while it was indexed: index again")


def _scan(reader: TarReader, begin: int, shard: ShardSamples, label: str) -> int | None:
    """Add members up to a big one; return where the next one begins, None at the end."""
    while member := reader.next_member():
        end = reader.following
        if end is None:
            raise BadArchiveError(
                f"{label} has no places to read from, as it is compressed or has global headers: "
                "read it by AISShardReader, or repack it as a plain tar"
            )
        if member.link:
            raise BadArchiveError(
                f"{member.name!r} in {label} is a link to {member.link!r}, which cannot be read "
                "by itself: pack the file (GNU tar: --dereference --hard-dereference)"
            )
        if member.is_file:
            shard.add(member.name, begin, end)
        begin = end
        if member.size > _BIG_BYTES:
            return end
    return None
