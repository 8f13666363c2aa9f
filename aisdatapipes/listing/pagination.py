"""Pagination: all that a bucket has, page by page, without losing names between the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aistore.sdk import ListObjectFlag
from aistore.sdk.types import BucketEntry, BucketList, ListObjectsMsg

from aisdatapipes.listing.pages import name_bytes, request_page
from aisdatapipes.types import Bucket
from aisdatapipes.urls import ParsedURL

__all__ = ["PagedListing"]

_BEFORE_SLASH = " !\"#$%&'()*+,-."  # the printable characters that are


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

    def entries_in_folder(self, folder: str, start_after: str = "") -> Iterator[BucketEntry]:
        """Yield everything under a folder of AIStore's own, of which its pages would lose names.

        AIStore walks ``train/`` before ``train-2/`` and ``train.txt``, and then goes on behind
        the last name of a page byte by byte, where these come first: they are silently left out,
        on several targets others too (``fs/walk.go`` and ``ais/prxlso.go``, v1.5.0). So a listing
        that is not whole in one page is done level by level.

        Args:
            folder: With its slash; empty for the whole bucket.
            start_after: The names behind it only.
        """
        page = next(self.pages(folder, start_after))
        if not page.continuation_token:
            yield from page.entries
            return
        first = name_bytes(start_after)
        for entry in self.entries_of_level(folder):
            if start_after and name_bytes(entry.n.removesuffix("/")) <= first:
                continue
            if entry.n.endswith("/"):
                yield from self.entries_in_folder(entry.n)
            else:
                yield entry

    def entries_of_level(self, prefix: str) -> Iterator[BucketEntry]:
        """Yield the objects and the folders that are right under a folder; these end in a slash.

        By pages as large as they may be: a folder at the end of one hides others as well, and
        comes again. What it may hide is requested by name.
        """
        folders: set[str] = set()
        for page in self.pages(prefix, page_size=0, flags=[ListObjectFlag.NO_RECURSION]):
            yield from [entry for entry in page.entries if entry.n not in folders]
            folders.update(entry.n for entry in page.entries if entry.n.endswith("/"))
            last = page.entries[-1].n if page.entries and page.continuation_token else ""
            for mark in _BEFORE_SLASH if last.endswith("/") else "":
                yield from self.entries_of_level(f"{last[:-1]}{mark}")

    def pages(
        self,
        prefix: str,
        start_after: str = "",
        page_size: int | None = None,
        flags: Sequence[ListObjectFlag] = (),
    ) -> Iterator[BucketList]:
        """Yield the pages themselves, as AIStore has them."""
        # Not the SDK's iterator: it fails on an empty page that is not the last.
        message = ListObjectsMsg(
            prefix=prefix,
            page_size=self.page_size if page_size is None else page_size,
            uuid="",
            props=self.props,
            continuation_token="",
            flags=list(flags),
            target="",
            start_after=start_after,
        )
        while True:
            page = request_page(self.bucket, self.url, self.endpoint, message)
            yield page
            if not page.continuation_token:
                return
            message.uuid, message.start_after = page.uuid, ""
            message.continuation_token = page.continuation_token
