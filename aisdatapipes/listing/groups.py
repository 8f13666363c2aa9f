"""Groups: folders beside each other whose names begin alike, listed by a single request.

A page that holds all that begins with some prefix has lost nothing, whether the prefix ends in a
slash or not; only between pages names are lost. So folders do not need a request each where
several fit on a page. What must hold, as AIStore goes through its folders (``_join`` in
``fs/walk.go``, v1.5.0):

* No folder has the prefix for its name: AIStore would list that one alone. And it does not end
  in a dot, as AIStore refuses ``.`` and ``..``.
* All that begins with the prefix is in the group, and nothing of it was listed before.
* For a prefix that is no folder's AIStore reads the names in all folders around the group, and
  goes through those whose names the prefix begins with. That has to take less time than the
  requests that it saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aistore.sdk.types import BucketEntry

from aisdatapipes.listing.pages import name_bytes

__all__ = ["Group", "Grouping", "LevelPage"]

_NAMES_PER_REQUEST = 1000  # that a target goes through in the time of one request, and less
_UNKNOWN = 10**9  # names in a folder that was not listed yet: rather too many


@dataclass(frozen=True)
class LevelPage:
    """Some of the objects and folders that are right under a folder.

    Attributes:
        prefix: All of them begin with it, and it is all of those that do, with the pages before.
        entries: In order; the names of folders end in a slash.
        is_last: Whether none comes behind them.
    """

    prefix: str
    entries: Sequence[BucketEntry]
    is_last: bool


@dataclass(frozen=True)
class Group:
    """What is listed by one request, or needs none.

    Attributes:
        prefix: What to list; empty for an object, which is known as it is.
        entries: Those of the level.
    """

    prefix: str
    entries: Sequence[BucketEntry]

    @property
    def folders(self) -> list[str]:
        """Names of the folders in it."""
        return [entry.n for entry in self.entries if entry.n.endswith("/")]


class Grouping:
    """Makes groups of the folders in one folder, as many as may fit on a page.

    Args:
        folder: The folder; empty for the whole bucket.
        page: The first names in it; there are more.
        around: How many names are in the folders that this one is in.
    """

    def __init__(self, folder: str, page: Sequence[BucketEntry], around: int) -> None:
        self.around = around
        self._page_size = len(page)
        start = len(folder)
        seen = {entry.n[: entry.n.find("/", start) + 1] for entry in page}
        self._most = max(1, len(seen - {""}) // 2)
        self._sizes: dict[bytes, int] = {}
        self._previous = b""

    def groups(self, level: LevelPage) -> Iterator[Group]:
        """Yield the groups of a part of the level, each when the one before it was listed."""
        self.around += len(level.entries)
        names = [name_bytes(entry.n) for entry in level.entries]
        self._sizes.update((name, _UNKNOWN) for name in names if name.endswith(b"/"))
        first = 0
        while first < len(names):
            if not names[first].endswith(b"/"):
                yield Group("", level.entries[first : first + 1])
                first += 1
                continue
            prefix, behind = self._run(level, names, first)
            group = Group(prefix, level.entries[first:behind])
            tried = self._most
            yield group
            if tried > self._most and behind - first > 1:
                continue  # it did not fit
            self._previous = next(n for n in reversed(names[:behind]) if n.endswith(b"/"))
            first = behind

    def listed(self, group: Group, count: int) -> None:
        """Take note that all of a group came on one page, of so many names."""
        for folder in group.folders:
            self._sizes[name_bytes(folder)] = count
        if len(group.entries) == self._most and count < self._page_size // 4:
            self._most *= 2

    def did_not_fit(self, group: Group) -> None:
        """Take note that there is more in a group than a page has; it comes again, in parts."""
        self._most = max(1, len(group.entries) // 2)

    def beside(self, folder: str) -> int:
        """Return how many names a target reads beside a folder, to list groups in it."""
        return self.around + self._on_the_way(name_bytes(folder).removesuffix(b"/"))

    def _run(self, level: LevelPage, names: Sequence[bytes], first: int) -> tuple[str, int]:
        """Return the prefix of the longest group that begins here, and what is behind it."""
        name, end = names[first], first + self._most
        next_one = names[end] if end < len(names) else b""
        base = name_bytes(level.prefix)
        least = len(base) if base and not base.endswith(b"/") else len(base) + 1
        prefix = name[: max(least, _in_common(self._previous, name), _in_common(name, next_one))]
        behind = first
        while behind < len(names) and names[behind].startswith(prefix):
            behind += 1
        is_whole = behind < len(names) or level.is_last
        if is_whole and self._pays(prefix, names[first:behind]):
            return prefix.decode("utf-8", "surrogateescape"), behind
        return level.entries[first].n, first + 1

    def _pays(self, prefix: bytes, names: Sequence[bytes]) -> bool:
        saved = sum(name.endswith(b"/") for name in names) - 1
        if saved < 1 or prefix.endswith((b"/", b".")) or prefix + b"/" in self._sizes:
            return False
        return self.around + self._on_the_way(prefix) <= saved * _NAMES_PER_REQUEST

    def _on_the_way(self, prefix: bytes) -> int:
        """Return how many names are in the folders whose names the prefix begins with."""
        parents = (prefix[:length] + b"/" for length in range(1, len(prefix)))
        return sum(self._sizes.get(parent, 0) for parent in parents)


def _in_common(one: bytes, other: bytes) -> int:
    """Return how many bytes of either tell it from the other, which it is not."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (mine, its) in enumerate(pairs) if mine != its), 0) + 1
