"""Pagination: all that a bucket has, page by page, without losing names between the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from aistore.sdk import ListObjectFlag
from aistore.sdk.types import BucketEntry, BucketList, ListObjectsMsg

from aisdatapipes.listing.groups import Group, Grouping, LevelPage
from aisdatapipes.listing.pages import name_bytes, request_page
from aisdatapipes.types import Bucket
from aisdatapipes.urls import ParsedURL

__all__ = ["PagedListing"]

_LEAST_LEVEL_PAGE = 16  # names, of which some may have to come again


@dataclass(frozen=True)
class PagedListing:
    """Lists a bucket, lazily: a page is requested when the one before it is used up.

    Attributes:
        bucket: Its client sends the requests.
        url: What is listed, for the messages of errors.
        endpoint: Address of the cluster, likewise.
        page_size: Names on a page; 0 for as many as the bucket's backend gives.
        props: Properties of the objects, besides their names.
    """

    bucket: Bucket
    url: ParsedURL
    endpoint: str
    page_size: int = 0
    props: str = "name"

    def entries(self, prefix: str, flags: Sequence[ListObjectFlag] = ()) -> Iterator[BucketEntry]:
        """Yield the entries of all pages; clouds, and archives, page rightly."""
        for page in self.pages(prefix, flags=flags):
            yield from page.entries

    def entries_in_folder(
        self, folder: str, start_after: str = "", around: int = 0
    ) -> Iterator[BucketEntry]:
        """Yield everything under a folder of AIStore's own, of which its pages would lose names.

        AIStore walks ``train/`` before ``train-2/`` and ``train.txt``, and then goes on behind
        the last name of a page byte by byte, where these come first: they are silently left out,
        on several targets others too (``fs/walk.go`` and ``ais/prxlso.go``, v1.5.0). So a listing
        that is not whole in one page is done level by level, and the folders of a level by as
        many at a time as fit on a page, see `groups`.

        Args:
            folder: With its slash; empty for the whole bucket.
            start_after: The names behind it only.
            around: How many names there are in the folders that it is in, as far as they count.
        """
        page = next(self.pages(folder, start_after))
        if not page.continuation_token:
            yield from page.entries
            return
        grouping = Grouping(folder, page.entries, around)
        first = name_bytes(start_after)
        for level in self._level(folder):
            for group in grouping.groups(level if not start_after else _behind(level, first)):
                yield from self._entries_of_group(group, grouping)

    def _entries_of_group(self, group: Group, grouping: Grouping) -> Iterator[BucketEntry]:
        if not group.folders:
            yield from group.entries
        elif len(group.entries) == 1:
            yield from self._entries_of_one(group, grouping)
        else:
            page = next(self.pages(group.prefix))
            if page.continuation_token:
                grouping.did_not_fit(group)
                return
            grouping.listed(group, len(page.entries))
            yield from self._completed(group, page.entries)

    def _entries_of_one(self, group: Group, grouping: Grouping) -> Iterator[BucketEntry]:
        folder, count = group.entries[0].n, 0
        for entry in self.entries_in_folder(folder, around=grouping.beside(folder)):
            count += 1
            yield entry
        grouping.listed(group, count)

    def _completed(self, group: Group, found: Sequence[BucketEntry]) -> Iterator[BucketEntry]:
        """Yield what was found in a group, in order, and what is missing of its level.

        A folder of which nothing was found is empty, in most cases. But one that has come
        meanwhile, with the prefix for its name, would be all that AIStore has listed. And objects
        of very long names are found by their level alone (``fs/fntl.go``).
        """
        first = name_bytes(group.entries[0].n)
        names = {entry.n for entry in found}
        start = group.folders[0].rfind("/", 0, -1) + 1
        folders = {name[: name.find("/", start) + 1] for name in names}
        entries = [entry for entry in found if name_bytes(entry.n) >= first]
        for entry in group.entries:
            if entry.n.endswith("/") and entry.n not in folders:
                entries += self.entries_in_folder(entry.n)
            elif not entry.n.endswith("/") and entry.n not in names:
                entries.append(entry)
        yield from sorted(entries, key=_order)

    def entries_of_level(self, prefix: str) -> Iterator[BucketEntry]:
        """Yield the objects and the folders that are right under a folder; these end in a slash."""
        for level in self._level(prefix):
            yield from level.entries

    def _level(self, prefix: str) -> Iterator[LevelPage]:
        """Yield what is right under a folder, or of that what begins with a prefix.

        Of a page that cuts a folder off from the names beside it, the end is left out, and the
        listing begins anew behind the rest: there AIStore has yet to give all that is behind it.
        Each target may have gone beyond that by as many folders as a name begins with, no more.
        """
        start = prefix.rfind("/") + 1
        size = self.page_size and max(self.page_size, _LEAST_LEVEL_PAGE)
        message = self._message(prefix, "", size, [ListObjectFlag.NO_RECURSION])
        while True:
            page = request_page(self.bucket, self.url, self.endpoint, message)
            entries, last = page.entries, page.continuation_token
            message.uuid = page.uuid
            if last and self._is_beside_folder(last, start):
                most = max((len(_prefixes(entry.n, start)) for entry in entries), default=0)
                entries, message.uuid = entries[: -most - 1], ""
                if not entries:
                    message.page_size *= 2
                    continue
                last = entries[-1].n
            yield LevelPage(prefix, entries, not last)
            if not last:
                return
            message.continuation_token = last

    def _is_beside_folder(self, name: str, start: int) -> bool:
        """Whether a name of a level is a folder's, or one of those that AIStore has behind it."""
        return name.endswith("/") or any(
            next(self.pages(f"{prefix}/", page_size=1)).entries for prefix in _prefixes(name, start)
        )

    def pages(
        self,
        prefix: str,
        start_after: str = "",
        page_size: int | None = None,
        flags: Sequence[ListObjectFlag] = (),
    ) -> Iterator[BucketList]:
        """Yield the pages themselves, as AIStore has them."""
        # Not the SDK's iterator: it fails on an empty page that is not the last.
        message = self._message(prefix, start_after, page_size, flags)
        while True:
            page = request_page(self.bucket, self.url, self.endpoint, message)
            yield page
            if not page.continuation_token:
                return
            message.uuid, message.start_after = page.uuid, ""
            message.continuation_token = page.continuation_token

    def _message(
        self, prefix: str, start_after: str, page_size: int | None, flags: Sequence[ListObjectFlag]
    ) -> ListObjectsMsg:
        return ListObjectsMsg(
            prefix=prefix,
            page_size=self.page_size if page_size is None else page_size,
            uuid="",
            props=self.props,
            continuation_token="",
            flags=list(flags),
            target="",
            start_after=start_after,
        )


def _prefixes(name: str, start: int) -> list[str]:
    """Return what folders would be called that AIStore has before a name, against their order."""
    return [name[:at] for at in range(start + 1, len(name)) if name[at] < "/"]


def _behind(level: LevelPage, first: bytes) -> LevelPage:
    """Return what of a level is behind a name."""
    behind = [e for e in level.entries if name_bytes(e.n.removesuffix("/")) > first]
    return replace(level, entries=behind)


def _order(entry: BucketEntry) -> bytes:
    return name_bytes(entry.n)
