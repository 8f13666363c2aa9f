"""Cluster index: what AIStore itself knows of where the members of a shard are.

Its job ``index-shard`` reads the headers of tars and keeps what it finds in objects of a bucket of
its own, ``ais://.sys-shardidx``. They have files only, sorted in no way, and of a name that comes
twice the first; and the offset of a file is that of its own header, behind extended ones. So what
it says is believed only where it accounts for every byte of the shard: the gap in front of each
header is as big as that of the first one, which is looked at, and nothing but zeros are behind the
last one. In all other cases the shard is scanned. One that was stored again leaves a stale index
behind: it has size and checksum of its shard.

Source: ``cmn/archive/shard.go`` and ``core/shard_idx.go`` of AIStore v1.5.0.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from os.path import commonprefix
from typing import NamedTuple

import xxhash
from aistore.sdk.job import Job

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import (
    AISPipeError,
    BadArchiveError,
    BucketNotFoundError,
    CutArchiveError,
)
from aisdatapipes.indexes.shard_samples import IndexedSample, ShardSamples
from aisdatapipes.listing.bucket_listing import list_versions
from aisdatapipes.processes.background import pause
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.scattered import Part, read_part
from aisdatapipes.tar import TarReader
from aisdatapipes.urls import ParsedURL, is_utf8

__all__ = ["ClusterIndex", "KnownMembers", "parse_index"]

_BUCKET = ParsedURL("ais", ".sys-shardidx")
_ACTION = "index-shard"
_SUFFIX = ".idx"
_HEAD = bytes([1, 0, 1])  # version; of a tar; checked by xxhash
_HEAD_BYTES = 11
_SEED = 1103515245  # MLCG32 in cmn/cos/unsafe.go
_BLOCK_BYTES = 512
_END_BYTES = 2 * _BLOCK_BYTES
_MOST_ZEROS = 2**20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0

_logger = logging.getLogger(__name__)


class KnownMembers(NamedTuple):
    """What the cluster knows of a shard.

    Attributes:
        version: Of the shard, as `versions_of` has it.
        members: Offset of the header, name and size of each file, in the order of the shard.
    """

    version: str
    members: list[tuple[int, str, int]]


def parse_index(data: bytes) -> KnownMembers:
    """Return what an index object of AIStore says.

    Raises:
        ValueError: It is of another version, or damaged.
    """
    payload = data[_HEAD_BYTES:]
    if data[: len(_HEAD)] != _HEAD:
        raise ValueError(f"the index of a shard begins with {data[:3].hex()}, not {_HEAD.hex()}")
    if xxhash.xxh64_digest(payload, seed=_SEED) != data[len(_HEAD) : _HEAD_BYTES]:
        raise ValueError("the index of a shard has another checksum than its content")
    _, at = _text(payload, 0)  # type of the checksum
    checksum, at = _text(payload, at)
    size, at = _number(payload, at)
    count, at = _number(payload, at)
    members = []
    for _ in range(count):
        name, at = _text(payload, at)
        offset, at = _number(payload, at)
        length, at = _number(payload, at)
        members.append((offset, name, length))
    members.sort()
    return KnownMembers(f"{size} {checksum}", members)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned number of 7 bits to a byte, as Go's ``binary.Uvarint`` reads it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7


def _text(data: bytes, at: int) -> tuple[str, int]:
    length, at = _number(data, at)
    return data[at : at + length].decode("utf-8", "surrogateescape"), at + length


class ClusterIndex:
    """What a cluster knows of the members of shards; nothing where it cannot or may not tell.

    Args:
        requests: The shards.
        builds: Whether the cluster is to index shards, of which it knows nothing yet: it takes
            the right to write, and time.
    """

    def __init__(self, requests: Sequence[ObjectRequest], *, builds: bool) -> None:
        self._known: set[tuple[str, str]] = set()
        groups: dict[tuple[str, str], list[ObjectRequest]] = {}
        for request in requests:
            if request.url.name.endswith(".tar") and is_utf8(request.url.name):
                groups.setdefault((request.endpoint, request.url.bucket_url), []).append(request)
        for group in groups.values():
            self._look_up(group, builds=builds)

    def samples(self, request: ObjectRequest, version: str) -> list[IndexedSample] | None:
        """Return the samples of a shard; None if they are not certain.

        Args:
            request: The shard.
            version: As `versions_of` has it.
        """
        name = _name_for(request.url)
        if (request.endpoint, name) not in self._known:
            return None
        try:
            index = parse_index(_read(request, name))
            if index.version != version:
                _logger.info("the cluster's index of %s is of another version", request.label)
                return None
            return _grouped(index.members, request, int(version.partition(" ")[0]))
        except (AISPipeError, ValueError, IndexError) as error:
            _logger.info("the cluster's index of %s is of no use: %s", request.label, error)
            return None

    def _look_up(self, group: Sequence[ObjectRequest], *, builds: bool) -> None:
        names = {_name_for(request.url) for request in group}
        try:
            found = _listed(group[0], names)
            if builds and found < names:
                _run_job(group[0], [request.url.name for request in group])
                found = _listed(group[0], names)
        except AISPipeError as error:
            _logger.info("no index of shards by the cluster: %s", error)
            return
        self._known |= {(group[0].endpoint, name) for name in found}


def _name_for(url: ParsedURL) -> str:
    """Return the name of the index object of a shard, as ``MakeUname`` in cmn/bck.go makes it."""
    return f"{url.provider}/@{url.uuid}#{url.namespace}/{url.bucket}/{url.name}{_SUFFIX}"


def _listed(request: ObjectRequest, names: set[str]) -> set[str]:
    settings = request.settings
    bucket = bucket_for(_BUCKET, request.endpoint, settings)
    prefix = commonprefix(list(names))  # noqa: RUF071 - what is listed is a prefix of names
    url = replace(_BUCKET, name=prefix)
    try:
        return {name for name, _, _ in list_versions(bucket, url, request.endpoint)} & names
    except BucketNotFoundError:  # no shard was indexed yet
        return set()


def _run_job(request: ObjectRequest, names: Sequence[str]) -> None:
    """Let the cluster index shards, and wait for it."""
    bucket = bucket_for(request.url, request.endpoint, request.settings)
    # Its folder, as a prefix without a slash may stand for a folder of that name alone.
    folder = commonprefix(list(names)).rpartition("/")[0]  # noqa: RUF071 - names of objects
    value = {"prefix": f"{folder}/"} if folder else {}
    with translated_errors(request.url, request.endpoint, "index the shards of"):
        job = Job(bucket.client, bucket.make_request("post", _ACTION, value).text.strip('"'))
        pause_s = _FIRST_PAUSE_S
        while not (status := job.status()).end_time:
            pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    if status.err or status.aborted:
        _logger.info("the job that indexes %s: %s", request.url.bucket_url, status.err or "aborted")


def _read(request: ObjectRequest, name: str) -> bytes:
    index = ObjectRequest(replace(_BUCKET, name=name), request.endpoint, request.settings)
    with translated_errors(index.url, index.endpoint):
        response = index.send()
        content = response.read()
    response.release_conn()
    return content


def _grouped(
    members: Sequence[tuple[int, str, int]], request: ObjectRequest, size: int
) -> list[IndexedSample] | None:
    """Return the samples that members make; None if they do not account for the whole shard."""
    if not members:
        return None
    shard, end, gap = ShardSamples(request.label), 0, members[0][0]
    for offset, name, length in members:
        if offset - end != gap:
            return None
        begin, end = end, offset + _BLOCK_BYTES + length + -length % _BLOCK_BYTES
        shard.add(name, begin, end)
    first = members[0][1], gap + _BLOCK_BYTES + members[0][2] + -members[0][2] % _BLOCK_BYTES
    is_certain = _ends_at(request, end, size) and (not gap or _begins_with(request, gap, *first))
    return shard.samples if is_certain else None


def _ends_at(request: ObjectRequest, end: int, size: int) -> bool:
    """Whether a shard has its end mark behind a member, and nothing but zeros behind that."""
    if not _END_BYTES <= size - end <= _MOST_ZEROS:
        return False
    tail = read_part(Part(request, end, size))
    return len(tail) == size - end and not tail.strip(b"\0")


def _begins_with(request: ObjectRequest, gap: int, name: str, end: int) -> bool:
    """Whether a shard begins with this member, whose own header has a gap in front of it."""
    head = read_part(Part(request, 0, gap + _BLOCK_BYTES))
    reader = TarReader(BytesIO(head), request.label)
    try:
        member = reader.next_member()
    except (BadArchiveError, CutArchiveError):
        return False
    return member is not None and (member.name, reader.following) == (name, end)
