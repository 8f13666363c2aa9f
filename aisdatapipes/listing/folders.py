"""Folders: the names in a bucket as a tree, of which a slash ends a folder's name.

AIStore keeps the folders of its own disks: one whose last object was deleted is still listed. Such
a ghost is no folder here, as it holds nothing, and as nobody could have made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from aistore.sdk.types import BucketList

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.client.settings import Settings
from aisdatapipes.listing.bucket_listing import list_checksums, list_sizes
from aisdatapipes.listing.pagination import PagedListing
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.urls import ParsedURL

__all__ = ["Folder"]

_FEW = 1000  # names that are listed to know what is in a folder, before it is listed by levels
_NAMES_PER_QUESTION = 200  # that are listed in the time that it takes to ask for one folder
_NAMES_IN_VAIN = 25  # for each folder, that are listed at most before it pays
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

    def checksums(self) -> Iterator[tuple[str, int, str]]:
        """Yield name, bytes and checksum of every object in it, likewise.

        Where the bucket keeps no checksums, they are empty.
        """
        bucket = bucket_for(self.url, self.endpoint, self.settings)
        found = list_checksums(bucket, self.url, self.endpoint, self.settings.page_size)
        return (one for one in found if not one[0].endswith("/"))

    def level(self) -> list[tuple[str, int]]:
        """Return what is right in it: names, which end in a slash for folders, and bytes.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
        """
        pages = self._listing(_FEW).pages(self.url.name)
        page = next(pages)
        if not page.continuation_token:
            return self._right_in([(entry.n, entry.s) for entry in page.entries])
        entries = self._listing().entries_of_level(self.url.name)
        found = [(entry.n, entry.s) for entry in entries]
        folders = {name for name, _ in found if name.endswith("/") and name != self.url.name}
        ghosts = self._ghosts(folders, chain([page], pages))
        return self._right_in([one for one in found if one[0] not in ghosts])

    def is_there(self) -> bool:
        """Whether there is any object in it.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
        """
        return self._holds(self.url.name)

    def _ghosts(self, folders: set[str], pages: Iterable[BucketList]) -> set[str]:
        """Return those of the folders of this level that hold nothing.

        What is on a page is there. What is on none may be there too, as pages lose names, or as
        they end early here: each of these folders is asked for, which takes as long as to list
        some hundred names. So pages are read as long as they show more folders than that.

        Args:
            folders: Their names.
            pages: Names of objects at all levels, lazily.
        """
        unseen, listed = set(folders), 0
        for page in pages:
            unseen.difference_update(self._child_of(entry.n) for entry in page.entries)
            listed += len(page.entries)
            worth = _NAMES_PER_QUESTION * (len(folders) - len(unseen))
            if not unseen or listed > worth + _NAMES_IN_VAIN * len(folders):
                break
        asked = list(unseen)
        with BackgroundPool(_CONCURRENCY) as pool:
            answers = zip(asked, pool.map(self._holds, asked), strict=True)
            return {name for name, holds in answers if not holds}

    def _child_of(self, name: str) -> str:
        """Return the folder of this level that an object is in; empty if it is in none."""
        return name[: name.find("/", len(self.url.name)) + 1]

    def _right_in(self, entries: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return the entries of the level that some names are of."""
        level: dict[str, int] = {}
        for name, size in entries:
            if folder := self._child_of(name):
                level[folder] = 0
            elif name != self.url.name:
                level[name] = size
        return sorted(level.items())

    def _holds(self, prefix: str) -> bool:
        entries = self._listing(1).entries(prefix)
        return any(entry.n.startswith(prefix) for entry in entries)

    def _listing(self, page_size: int = 0) -> PagedListing:
        bucket = bucket_for(self.url, self.endpoint, self.settings)
        url = replace(self.url, name="")
        return PagedListing(bucket, url, self.endpoint, page_size, "name,size")
