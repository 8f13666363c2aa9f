"""Folders: the names in a bucket as a tree, of which a slash ends a folder's name.

AIStore keeps the folders of its own disks: one whose last object was deleted is still listed. Such
a ghost is no folder here, as it holds nothing, and as nobody could have made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.client.settings import Settings
from aisdatapipes.listing.bucket_listing import list_sizes
from aisdatapipes.listing.pagination import PagedListing
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.urls import ParsedURL

__all__ = ["Folder"]

_FEW = 1000  # names that are listed to know what is in a folder, before it is listed by levels
_CONCURRENCY = 8


@dataclass(frozen=True)
class Folder:
    """A folder in a bucket.

    Attributes:
        url: With the folder's name, which ends in a slash; empty for the bucket itself.
        endpoint: Address of the cluster.
        settings: Time-outs, retries and page size.
    """

    url: ParsedURL
    endpoint: str
    settings: Settings

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield name and bytes of every object in it, at all levels, in the order of the names.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
        """
        bucket = bucket_for(self.url, self.endpoint, self.settings)
        sizes = list_sizes(
            bucket, self.url, self.endpoint, self.settings.page_size, allow_empty=True
        )
        # Names that end in a slash are marks that other tools leave in clouds for folders.
        return ((name, size) for name, size in sizes if not name.endswith("/"))

    def level(self) -> list[tuple[str, int]]:
        """Return what is right in it: names, which end in a slash for folders, and bytes.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
        """
        listing = self._listing(_FEW)
        page = next(listing.pages(self.url.name))
        if not page.continuation_token:
            return self._right_in([(entry.n, entry.s) for entry in page.entries])
        found = [(entry.n, entry.s) for entry in listing.entries_of_level(self.url.name)]
        folders = [name for name, _ in found if name.endswith("/") and name != self.url.name]
        with BackgroundPool(_CONCURRENCY) as pool:
            are_there = dict(zip(folders, pool.map(self._holds, folders), strict=True))
        return self._right_in([one for one in found if are_there.get(one[0], True)])

    def is_there(self) -> bool:
        """Whether there is any object in it.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
        """
        return self._holds(self.url.name)

    def _right_in(self, entries: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return the entries of the level that some names are of."""
        start = len(self.url.name)
        level: dict[str, int] = {}
        for name, size in entries:
            slash = name.find("/", start)
            if slash < 0 and len(name) > start:
                level[name] = size
            elif slash >= 0:
                level[name[: slash + 1]] = 0
        return sorted(level.items())

    def _holds(self, prefix: str) -> bool:
        entries = self._listing(1).entries(prefix)
        return any(entry.n.startswith(prefix) for entry in entries)

    def _listing(self, page_size: int) -> PagedListing:
        bucket = bucket_for(self.url, self.endpoint, self.settings)
        url = replace(self.url, name="")
        return PagedListing(bucket, url, self.endpoint, page_size, "name,size")
