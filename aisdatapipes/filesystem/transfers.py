"""Transfers: which files go where, and many of them at a time.

What ``get``, ``put`` and ``cp`` make of a folder, a pattern, a list or a slash at an end is
fsspec's own matter, and stays there: its methods are called with a `TransferPlan` in place of the
filesystem, which notes the pairs and moves nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import IO, Any, TypeVar

from fsspec import AbstractFileSystem
from fsspec.callbacks import Callback

from aisdatapipes.filesystem.tree import FolderTree
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.processes.unfinished_file import unfinished_file

__all__ = ["TransferPlan", "at_a_time", "pour", "save", "walk_files"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_PIECE_BYTES = 2**20

# What fsspec's methods take for patterns, and what they see in its place in a literal name: these
# are no characters of any text.
_MARKS = {ord(mark): 0xFDD0 + number for number, mark in enumerate("*?[")}
_BACK = {hidden: mark for mark, hidden in _MARKS.items()}


class TransferPlan:
    """Stands for a filesystem in methods that move files, and notes what they would do.

    Args:
        fs: Whose paths are meant.
    """

    def __init__(self, fs: FolderTree) -> None:
        self._fs = fs
        self._kinds: dict[str, str] = {}
        self._patterns: set[Any] = set()  # those that are no names
        self._pairs: list[tuple[Any, Any]] = []

    def pairs_of(
        self,
        method: Callable[..., Any],
        source: Any,
        target: Any,
        recursive: bool,
        maxdepth: int | None,
    ) -> list[tuple[Any, Any]]:
        """Return what a method of fsspec's would move, from where to where, in order.

        Folders among the sources that a listing has shown are left out.

        Args:
            method: ``get``, ``put`` or ``copy`` of `AbstractFileSystem`.
            source: What is to be moved; see `literal`.
            target: Where to.
            recursive: Move all that is in folders.
            maxdepth: Levels of folders.
        """
        method(self, source, target, recursive=recursive, maxdepth=maxdepth)
        return [
            (_shown(one), _shown(other))
            for one, other in self._pairs
            if self._kinds.get(one) != "directory"
        ]

    def literal(self, path: Any) -> Any:
        """Return a path so that it is no pattern, if there is something of that very name."""
        if not isinstance(path, str) or not has_magic(path):
            return path
        if self._fs.literal_info(path):
            return path.translate(_MARKS)
        self._patterns.add(self._fs._strip_protocol(path))
        return path

    def objects(self, path: Any, *, recursive: bool, maxdepth: int | None) -> list[str]:
        """Return the paths that are meant, without folders."""
        paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        return sorted(_shown(one) for one in paths if self._kinds.get(one) != "directory")

    def get_file(self, source: Any, target: Any, **kwargs: Any) -> None:
        """Note it."""
        self._pairs.append((source, target))

    put_file = cp_file = get_file

    def expand_path(self, path: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Return the paths that are meant; of no paths, none."""
        if isinstance(path, list) and not path:
            return []
        return AbstractFileSystem.expand_path(self, path, *args, **kwargs)  # pyright: ignore[reportArgumentType]

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return what is below a path."""
        is_literal = path != _shown(path)
        infos: Any = self._fs.find(_shown(path), *args, **{**kwargs, "detail": True})
        found = {
            name.translate(_MARKS) if is_literal else name: info["type"]
            for name, info in infos.items()
        }
        self._kinds |= found
        return list(found)

    def glob(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a pattern means, as literal names: fsspec expands what it gets once more."""
        is_known = path in self._patterns
        glob = partial(AbstractFileSystem.glob, self._fs) if is_known else self._fs.glob
        infos: Any = glob(path, *args, **{**kwargs, "detail": True})
        found = {name.translate(_MARKS): info["type"] for name, info in infos.items()}
        self._kinds |= found
        return list(found)

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        kind = self._kinds.get(path)
        return self._fs.isdir(_shown(path)) if kind is None else kind == "directory"

    def exists(self, path: str) -> bool:
        """Whether there is anything."""
        return path in self._kinds or self._fs.exists(_shown(path))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)


def _shown(path: Any) -> Any:
    return path.translate(_BACK) if isinstance(path, str) else path


def at_a_time(action: Callable[[_T], _R], items: Iterable[_T], concurrency: int) -> list[_R]:
    """Return what `action` returns for every item, called in some threads.

    Raises:
        Exception: What one of the calls raised; those that had not begun are not made.
    """
    with BackgroundPool(concurrency) as pool:
        calls = [pool.submit(action, item) for item in items]
        for call in as_completed(calls):
            call.result()
    return [call.result() for call in calls]


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, links to files among them, in the order of their names.

    Raises:
        OSError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(parent, name)).is_file())


def save(file: IO[bytes], size: int, target: str, callback: Callback) -> None:
    """Write an open file to a local one, which has its name once it is whole; close the first.

    Args:
        file: At its beginning.
        size: Its bytes.
        target: Path; its folder is made. What is no regular file, as ``/dev/stdout``, is written
            to directly.
        callback: Is told of the bytes.
    """
    path = Path(os.path.realpath(target))
    path.parent.mkdir(parents=True, exist_ok=True)
    is_special = path.exists() and not path.is_file()
    with file, path.open("wb") if is_special else unfinished_file(path) as written:
        pour(file, size, written, callback)


def pour(file: IO[bytes], size: int, written: IO[bytes], callback: Callback) -> None:
    """Write all of an open file, so many bytes, to another one; a callback is told of them."""
    callback.set_size(size)
    while piece := file.read(_PIECE_BYTES):
        written.write(piece)
        callback.relative_update(len(piece))
