"""Packing: shards are written that are not there yet, each at once or not at all.

What is there already is known by its bytes alone: size and checksum are compared with those of
the shard that would be written, which is put together again for that. So one that is left over
from other files, or from other limits, is never taken for a shard of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.errors import AlreadyExistsError
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.filesystem.transfers import at_a_time
from aisdatapipes.listing.bucket_listing import list_checksums
from aisdatapipes.packing.plan import PlannedShard
from aisdatapipes.packing.shard_content import ShardContent
from aisdatapipes.packing.shard_names import ShardNames
from aisdatapipes.packing.sources import FileSource
from aisdatapipes.reading.checksums import has_checksum
from aisdatapipes.writing.put import put_object

__all__ = ["Packing"]

_Stored = tuple[int, str]  # size and checksum


class Packing:
    """Shards of a plan, and where they go.

    Args:
        source: Where the files are.
        shards: What is in each shard.
        fs: The filesystem of the buckets that they go to.
        names: Paths of the shards there.
        workers: How many shards at a time.

    Attributes:
        requests: For each shard.

    Raises:
        InvalidURLError: There can be no object of such a name.

    Example:
        >>> from pathlib import Path
        >>> from aisdatapipes.packing.plan import Limits, plan_shards
        >>> from aisdatapipes.packing.sources import FolderSource
        >>> source = FolderSource(Path(__file__).parent)
        >>> shards = plan_shards(source.files(), Limits(max_samples=2)).shards
        >>> names = ShardNames.parse("caltech256/room-%02d.tar")
        >>> fs = AISFileSystem()
        >>> packing = Packing(source, shards, fs, names)
        >>> packing.write(packing.missing())
        >>> packing.missing()
        []
        >>> fs.rm(fs.glob("caltech256/room-*.tar"))
    """

    def __init__(
        self,
        source: FileSource,
        shards: Sequence[PlannedShard],
        fs: AISFileSystem,
        names: ShardNames,
        workers: int = 4,
    ) -> None:
        self._source = source
        self._shards = shards
        self._fs = fs
        self._names = names
        self._workers = workers
        self.requests = [fs.request_to_write(names[number]) for number in range(len(shards))]

    def missing(self, *, force: bool = False) -> list[int]:
        """Return the numbers of the shards that are to be written.

        Args:
            force: Write those too whose names are taken by other content.

        Raises:
            AlreadyExistsError: There are shards of these names with other content; or, forced
                or not, such with numbers that none of these has.
            BucketNotFoundError: There is no such bucket.
        """
        stored = self._stored()
        numbers = range(len(self._shards))
        if others := sorted(stored.keys() - {self._names[number] for number in numbers}):
            raise self._taken(
                others, "left over from an earlier run, and would be read beside these: remove that"
            )
        there = [number for number in numbers if self._names[number] in stored]
        same = at_a_time(lambda one: self._is_there(one, stored), there, self._workers)
        different = [one for one, is_same in zip(there, same, strict=True) if not is_same]
        if different and not force:
            raise self._taken(
                [self._names[number] for number in different],
                "there already, with other content or without a checksum that tells: replace that "
                "by --force",
            )
        kept = {*there} - {*different}
        return [number for number in numbers if number not in kept]

    def write(
        self,
        numbers: Sequence[int],
        tell: Callable[[int], object] = lambda _: None,
        tell_shard: Callable[[], object] = lambda: None,
    ) -> None:
        """Write shards, some at a time.

        Args:
            numbers: Which ones.
            tell: Is called with the bytes of each piece that was sent.
            tell_shard: Is called for each shard that is there.

        Raises:
            IncompleteWriteError: A file cannot be read, or has changed.
            AISPipeError: A shard could not be written; those that had not begun are not.
        """

        def write(number: int) -> None:
            shard = self._shards[number]
            with ShardContent(self._source, shard.files, tell) as content:
                put_object(self.requests[number], cast("Any", content), shard.size)
            tell_shard()

        at_a_time(write, numbers, self._workers)

    def _is_there(self, number: int, stored: Mapping[str, _Stored]) -> bool:
        shard = self._shards[number]
        size, checksum = stored[self._names[number]]
        if size != shard.size:
            return False
        with ShardContent(self._source, shard.files) as content:
            return has_checksum(content.pieces(), checksum)

    def _stored(self) -> dict[str, _Stored]:
        """Return the objects that differ from these shards in their number only."""
        first = self.requests[0]
        url = replace(first.url, name=self._names.prefix.partition("/")[2])
        bucket = bucket_for(url, first.endpoint, first.settings)
        listed = list_checksums(bucket, url, first.endpoint, first.settings.page_size)
        return {
            path: (size, checksum)
            for name, size, checksum in listed
            if self._names.has(path := f"{url.bucket}/{name}")
        }

    def _taken(self, paths: Sequence[str], what: str) -> AlreadyExistsError:
        first = f"{self._fs.provider}://{paths[0]}"
        are = f" and {len(paths) - 1} more are" if len(paths) > 1 else " is"
        return AlreadyExistsError(f"{first}{are} {what}, or pack to another name")
