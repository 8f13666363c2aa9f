"""Unpacking: the files of shards, as they were before they were packed.

Shards are read one after the other, which is faster than files are written: those are written
some at a time, each at once or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Protocol

from fsspec.callbacks import DEFAULT_CALLBACK

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.filesystem.transfers import save
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.checksums import has_checksum
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import open_object
from aisdatapipes.tar import TarReader

__all__ = ["BucketTarget", "FileTarget", "FolderTarget", "Unpacked", "unpack_shards"]

_MOST_WAITING_BYTES = 64 * 2**20


@dataclass
class Unpacked:
    """What was unpacked.

    Attributes:
        files: That were written.
        bytes: Of these.
        unchanged: Files that were there already.
    """

    files: int = 0
    bytes: int = 0
    unchanged: int = 0


class FileTarget(Protocol):
    """Where files go. Several threads write to it."""

    def write(self, name: str, content: bytes) -> bool:
        """Write a file, unless it is there; return whether it was not."""
        ...


class FolderTarget:
    """A folder on this machine.

    Args:
        folder: Its path; it is made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._parents: set[Path] = set()  # those that are known to be in it

    def write(self, name: str, content: bytes) -> bool:
        """Write a file, unless it is there; return whether it was not.

        Raises:
            BadArchiveError: A link leads it out of the folder.
        """
        path = self._folder / name
        self._check(path)
        is_there = path.is_file() and path.stat().st_size == len(content)
        if is_there and path.read_bytes() == content:
            return False
        save(BytesIO(content), len(content), str(path), DEFAULT_CALLBACK)
        return True

    def _check(self, path: Path) -> None:
        if path.parent in self._parents and not path.is_symlink():
            return
        if not path.resolve().is_relative_to(self._folder):
            raise BadArchiveError(
                f"{path} leads out of {self._folder} by a link: remove that, or unpack to another "
                "folder"
            )
        self._parents.add(path.parent)


class BucketTarget:
    """A bucket, or a folder in it.

    Args:
        fs: The filesystem of its provider.
        path: Bucket and folder, without a slash at its end.
    """

    def __init__(self, fs: AISFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._bucket = path.partition("/")[0]

    def write(self, name: str, content: bytes) -> bool:
        """Write an object, unless it is there; return whether it was not."""
        path = f"{self._path}/{name}"
        size, checksum = self._stored.get(path, (-1, ""))
        if size == len(content) and has_checksum([content], checksum):
            return False
        self._fs.pipe_file(path, content)
        return True

    @cached_property
    def _stored(self) -> dict[str, tuple[int, str]]:
        listed = self._fs.folder_at(self._path).checksums()
        return {f"{self._bucket}/{name}": (size, checksum) for name, size, checksum in listed}


def unpack_shards(
    shards: Iterable[ObjectRequest],
    target: FileTarget,
    jobs: int = 8,
    tell: Callable[[int], object] = lambda _: None,
) -> Unpacked:
    """Write the files of shards by their own names; each is in memory as a whole meanwhile.

    Args:
        shards: Tars, also those that gzip compresses.
        target: Where to.
        jobs: Files that are written at a time.
        tell: Is called with the bytes of each file.

    Raises:
        BadArchiveError: A name leads out of the target, comes twice, or is that of a link; what
            was before it is unpacked.
        CutArchiveError: A shard ends in the middle.
        AISPipeError: One cannot be read, or a file not be written.
        OSError: Likewise, for a reason of this machine's.
    """
    done = Unpacked()
    waiting: deque[tuple[int, Future[bool]]] = deque()

    def take() -> None:
        size, writing = waiting.popleft()
        is_new = writing.result()
        done.files += is_new
        done.bytes += size * is_new
        done.unchanged += not is_new
        tell(size)

    with BackgroundPool(jobs) as pool:
        for name, content in _files_of(shards):
            waiting.append((len(content), pool.submit(target.write, name, content)))
            while len(waiting) > 2 * jobs or sum(size for size, _ in waiting) > _MOST_WAITING_BYTES:
                take()
        while waiting:
            take()
    return done


def _files_of(shards: Iterable[ObjectRequest]) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for shard in shards:
        with open_object(shard) as file:
            for member, content, _ in TarReader(file, shard.label).files():
                name = _safe(member, shard.label)
                if name in seen:
                    raise BadArchiveError(
                        f"{member!r} in {shard.label} comes a second time: unpack the shards one "
                        "by one, to folders of their own"
                    )
                seen.add(name)
                yield name, content


def _safe(name: str, shard: str) -> str:
    """Return a member's name as a path below a folder, that leads nowhere else."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts:
        raise BadArchiveError(
            f"{name!r} in {shard} leads out of the folder that it is unpacked to: it is no shard "
            "that is safe to unpack"
        )
    return "/".join(parts)
