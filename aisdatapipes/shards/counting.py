"""Counting: how many samples or files each shard has, as those who read them will find.

Reading a shard tells for certain. The cluster can list the members of a shard without sending
it, but it sorts them by name, lists what is no file, and lists what is left of a cut shard
without a word. So a listing is believed only of a shard that is too big to be read by the way,
and only where it accounts for every byte: files and directories with headers as the first ones
have them, and nothing but zeros behind them. Whether the members of a sample stand side by side
is looked up in the first ones. In every other case, also where it cannot be listed, the shard is
read.

Only what says that *this shard* cannot be read makes it one that cannot; anything else is about
the cluster, and raises: unknown is never zero.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import groupby
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import UNREADABLE, AISPipeError, BadArchiveError, CutArchiveError
from aisdatapipes.listing.bucket_listing import list_members
from aisdatapipes.metrics.counters import ProcessCounters, counting
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.options import ErrorPolicy
from aisdatapipes.reading.prefetcher import Outcome
from aisdatapipes.reading.ranges import read_ranges
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object
from aisdatapipes.shards.read_shard import Parse, files_parser, read_shard, samples_parser
from aisdatapipes.tar import TarMember, TarReader, key_of

__all__ = ["CountOf", "ShardToCount", "count_shards", "readable"]

CountOf = Literal["samples", "files"]

ShardToCount = tuple[str, Callable[[], ObjectRequest], int]
"""URL of a shard, what makes the request for it, and its bytes; -1 if unknown."""

_CONCURRENCY = 4
_BLOCK_BYTES = 512
_END_BYTES = 2 * _BLOCK_BYTES
_PAX_BYTES = 2 * _BLOCK_BYTES  # of the header before a member, as webdataset's writer has them
_TAIL_BYTES = 24 * _BLOCK_BYTES  # tar fills up with zeros to a multiple of 20
# To read so much costs no more than the requests that would save it.
_SMALL_BYTES = 2**20


def count_shards(
    shards: Iterable[ShardToCount],
    count_of: CountOf,
    policy: ErrorPolicy,
    counters: ProcessCounters,
) -> bytes:
    """Return how much each shard has, as 64-bit numbers in the byte order of this machine.

    Args:
        shards: Which.
        count_of: What to count.
        policy: What happens to shards that cannot be read: what a function gives in their place
            counts.
        counters: Where to count requests.

    Returns:
        For each shard the number; ``~number`` if it breaks behind so many, see `readable`.

    Raises:
        AISPipeError: The cluster cannot be asked.
    """

    def count(shard: ShardToCount) -> int:
        with counting(counters):
            return _count(*shard, count_of, policy)

    with BackgroundPool(_CONCURRENCY) as threads:
        return array("q", threads.map(count, shards)).tobytes()


def readable(count: int) -> int:
    """Return how much of a shard can be read.

    Example:
        >>> readable(7), readable(~7)
        (7, 7)
    """
    return max(count, ~count)


def _count(
    url: str,
    request_for: Callable[[], ObjectRequest],
    size: int,
    count_of: CountOf,
    policy: ErrorPolicy,
) -> int:
    settings = Settings()
    try:
        request = request_for()
        settings = request.settings
        if size > _SMALL_BYTES and not request.etl:
            with suppress(AISPipeError):  # if it is about the cluster, reading raises it too
                listed = _listed(request, size, count_of)
                if listed is not None:
                    return listed
        outcome = Outcome(url, open_object(request))
    except UNREADABLE as error:
        outcome = Outcome(url, None, error)
    parse = samples_parser(settings) if count_of == "samples" else files_parser(settings)
    return _read(outcome, parse, policy)


def _read(outcome: Outcome[str], parse: Parse, policy: ErrorPolicy) -> int:
    """Count by reading the shard, or what the policy has in its place."""

    def content_for(url: str, error: AISPipeError) -> bytes | None:
        is_replaced = callable(policy.on_error) and isinstance(error, UNREADABLE)
        content = policy.replacement(url, error) if is_replaced else None
        if content is None:
            raise error
        return content

    count = 0
    try:
        for _ in read_shard(outcome.item, outcome, parse, content_for):
            count += 1
    except UNREADABLE:
        return ~count
    return count


def _listed(request: ObjectRequest, size: int, count_of: CountOf) -> int | None:
    """Return what the cluster's listing of a shard says; None if that is not certain."""
    members = list(list_members(request.url, request.endpoint, request.settings))
    if not members or not all(one_size for _, one_size in members):  # FIFOs and links look empty
        return None
    begin, end = read_ranges(request, [(0, _SMALL_BYTES), (size - _TAIL_BYTES, size)])
    head, names = _Head.of(begin), [name for name, _ in members]
    if head is None or not set(head.files) <= set(names):  # the listing has cleaned them
        return None
    if not _account_for_all(size, members, head, end):
        return None
    if count_of == "files":
        return len(members)
    keys = set(filter(None, map(key_of, names)))
    return len(keys) if _are_grouped(names, head.files) else None


class _Head(NamedTuple):
    """What the beginning of a shard says of how it was made.

    Attributes:
        files: Names of the files there.
        folders: Names of the directories there.
        pax_bytes: What comes before the header of each member.
    """

    files: list[str]
    folders: list[str]
    pax_bytes: int

    @classmethod
    def of(cls, content: bytes) -> _Head | None:
        """Return what the beginning says; None if members differ in what precedes them."""
        members, end = _members_in(content)
        if not members or end is None:
            return None
        pax_bytes, rest = divmod(end - sum(_bytes_of(one.size) for one in members), len(members))
        if rest or pax_bytes not in (0, _PAX_BYTES):
            return None
        files = [one.name for one in members if one.is_file]
        return cls(files, [one.name for one in members if not one.is_file], pax_bytes)

    def folders_of(self, names: Iterable[str]) -> int:
        """Return how many directories an archive with such a beginning and these files has."""
        if not self.folders:
            return 0
        paths = map(PurePosixPath, names)
        parents = {str(parent) for path in paths for parent in path.parents} - {"."}
        # ``tar cf x.tar a/b`` has a/b, and not a.
        return len(parents) - self.folders[0].count("/") + ("." in self.folders)


def _members_in(content: bytes) -> tuple[list[TarMember], int | None]:
    """Return whose headers are in the beginning of a shard, and where what follows them begins."""
    reader = TarReader(BytesIO(content))
    members: list[TarMember] = []
    following: int | None = 0
    try:
        while member := reader.next_member():
            members.append(member)
            following = reader.following
    except (BadArchiveError, CutArchiveError):  # the beginning ends
        pass
    return members, following


def _account_for_all(
    size: int, members: Sequence[tuple[str, int]], head: _Head, end: bytes
) -> bool:
    """Whether these files, and directories of theirs, are all that is in a shard, but for zeros.

    Args:
        size: Bytes of the shard.
        members: Names and sizes of its files.
        head: Its beginning.
        end: Its last bytes.
    """
    folders = head.folders_of(name for name, _ in members)
    headers = (_BLOCK_BYTES + head.pax_bytes) * folders + head.pax_bytes * len(members)
    zeros = size - headers - sum(_bytes_of(one_size) for _, one_size in members)
    return _END_BYTES <= zeros < len(end) and not end[-zeros:].strip(b"\0")


def _bytes_of(size: int) -> int:
    """Return how much of an archive a member of so many bytes takes."""
    return _BLOCK_BYTES + size + -size % _BLOCK_BYTES


def _are_grouped(names: Sequence[str], first: Sequence[str]) -> bool:
    """Whether members make as many samples as there are keys.

    No two may have the same extension, and those of a sample stand side by side, as far as the
    order is known.

    Args:
        names: Those of all members.
        first: Those of the first ones, in their order.
    """
    listed = Counter(filter(None, map(key_of, names)))
    files = {key + name[len(key) :].lower() for name in names if (key := key_of(name))}
    keys = [key for key in map(key_of, first) if key]
    groups, seen = [key for key, _ in groupby(keys)], Counter(keys)
    is_whole = all(seen[key] == listed[key] for key in groups[:-1])
    return is_whole and len(groups) == len(set(groups)) and len(files) == listed.total()
