"""Sources: the files that are packed, on this machine or in a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.filesystem.transfers import walk_files
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.reading.prefetcher import prefetch

__all__ = ["BucketSource", "FileSource", "FolderSource", "SourceFile"]


class SourceFile(NamedTuple):
    """A file to be packed.

    Attributes:
        name: Below the source; so it is called in the shard.
        size: Its bytes.
    """

    name: str
    size: int


class FileSource(Protocol):
    """Where files are. Several threads may read it at a time."""

    def files(self) -> Iterator[SourceFile]:
        """Yield all files, at all levels."""
        ...

    def opened(self, files: Sequence[SourceFile]) -> Iterator[IO[bytes]]:
        """Yield files in order, each open until the next one is taken."""
        ...


class FolderSource:
    """A folder on this machine; links to files in it are files.

    Args:
        folder: Its path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def files(self) -> Iterator[SourceFile]:
        """Yield all files, at all levels.

        Raises:
            OSError: The folder, or one in it, cannot be read.
        """
        for path in walk_files(self._folder):
            yield SourceFile(path.relative_to(self._folder).as_posix(), path.stat().st_size)

    def opened(self, files: Sequence[SourceFile]) -> Iterator[IO[bytes]]:
        """Yield files in order, each open until the next one is taken."""
        for file in files:
            with (self._folder / file.name).open("rb") as opened:
                yield opened


class BucketSource:
    """A bucket, or a folder in it.

    Args:
        fs: The filesystem of its provider.
        path: Bucket and folder, without a slash at its end.
    """

    def __init__(self, fs: AISFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._counters = SharedCounters()

    def __str__(self) -> str:
        return f"{self._fs.provider}://{self._path}"

    def files(self) -> Iterator[SourceFile]:
        """Yield all objects, at all levels, by one listing.

        Raises:
            BucketNotFoundError: There is no such bucket.
        """
        folder = self._fs.folder_at(self._path)
        for name, size in folder.objects():
            yield SourceFile(name[len(folder.url.name) :], size)

    def opened(self, files: Sequence[SourceFile]) -> Iterator[IO[bytes]]:
        """Yield objects in order, read ahead, small ones many at a time."""
        paths = [f"{self._path}/{file.name}" for file in files]
        counters = self._counters.of_this_process()
        expected = sum(file.size for file in files) / max(len(files), 1)
        options = ReadOptions(concurrency=self._fs.concurrency)
        outcomes = prefetch(paths, self._fs.request_for, options, counters, expected)
        with closing(outcomes):
            for outcome in outcomes:
                with outcome.result() as opened:
                    yield opened
