"""Readers of a bucket that changes: each lists now, and reads when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aistore.sdk import DataShard

from aisdatapipes import (
    AISFileLister,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISMultiShardStream,
    AISSampleLoader,
    AISShardReader,
    Settings,
)
from aisdatapipes.filesystem import AISFileSystem
from support.tars import member, pack

NAMES = ["0-small", "1-big", "2-small"]
BIG = NAMES[1]

_BIG_BYTES = 2 * 2**20  # more than is on its way between a target and a client that waits
_SMALL_BYTES = 4000
_MEMBERS = 4
_SETTINGS = Settings(
    first_backoff_s=0.01,
    max_backoff_s=0.02,
    whole_object_bytes=2**20,
    read_ahead_bytes=2**17,
)

Found = dict[str, list[bytes]]
"""By the names of objects: their content, or the files in them."""

Read = Callable[[Found], Iterable[str]]
"""Reads all, notes what came, also before an error, and returns the URLs that it has skipped."""


@dataclass(frozen=True)
class Reader:
    """One way to read.

    Attributes:
        lists: Lists a bucket, by its name, at an endpoint; with the keywords of what reads it.
        reads_tars: Whether it reads the files in shards.
        skips: Whether it takes ``on_error``.
        asks_again: Whether it requests one part of an object after another.
    """

    lists: Callable[..., Read]
    reads_tars: bool = False
    skips: bool = True
    asks_again: bool = False

    def begin(self, endpoint: str, bucket: str, on_error: str) -> Read:
        """List a bucket."""
        options = {"on_error": on_error} if self.skips else {}
        return self.lists(endpoint, bucket, settings=_SETTINGS, **options)

    def contents(self, version: str, name: str) -> list[bytes]:
        """Return what is to come of a version of an object."""
        if not self.reads_tars:
            return [_text(version, name, _size(version, name))]
        size = _size(version, name) // _MEMBERS
        return [_text(f"{version}{number}", name, size) for number in range(_MEMBERS)]

    def stored(self, version: str, name: str) -> bytes:
        """Return the bytes of a version of an object."""
        contents = self.contents(version, name)
        if not self.reads_tars:
            return contents[0]
        return pack([member(f"{number}.bin", data) for number, data in enumerate(contents)])


def _size(version: str, name: str) -> int:
    size = _BIG_BYTES if name == BIG else _SMALL_BYTES
    return size // 2 if version == "shorter" else size


def _text(version: str, name: str, size: int) -> bytes:
    word = f"{version} of {name}; ".encode()
    return (word * (size // len(word) + 1))[:size]


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _urls(endpoint: str, bucket: str) -> list[str]:
    return list(AISFileLister([f"ais://{bucket}/"], endpoint))


def _files(endpoint: str, bucket: str, **options: Any) -> Read:
    urls = _urls(endpoint, bucket)

    def read(found: Found) -> list[str]:
        loader = AISFileLoader(urls, endpoint, **options)
        for url, stream in loader:
            found[_name(url)] = [stream.read()]
        return loader.skipped_urls()

    return read


def _tars(endpoint: str, bucket: str, **options: Any) -> Read:
    urls = _urls(endpoint, bucket)

    def read(found: Found) -> list[str]:
        loader = AISFileLoader(urls, endpoint, **options)
        for path, stream in loader.load_from_tar_by_ais():
            found.setdefault(path.split("/")[-2], []).append(stream.read())
        return loader.skipped_urls()

    return read


def _samples(endpoint: str, bucket: str, **options: Any) -> Read:
    urls = _urls(endpoint, bucket)

    def read(found: Found) -> list[str]:
        loader = AISSampleLoader(urls, endpoint, **options)
        for sample in loader:
            found.setdefault(_name(sample["__url__"]), []).append(sample["bin"])
        return loader.skipped_urls()

    return read


def _map(endpoint: str, bucket: str, **options: Any) -> Read:
    dataset = AISMapDataset(urls_list=f"ais://{bucket}/", client_url=endpoint, **options)

    def read(found: Found) -> list[str]:
        # The big one in a batch with another, so that it can be skipped.
        for batch in ([0, 1], [2]):
            found.update((name, [content]) for name, content in dataset.__getitems__(batch))
        return dataset.skipped_urls()

    return read


def _iterable(endpoint: str, bucket: str, **options: Any) -> Read:
    dataset = AISIterDataset(urls_list=f"ais://{bucket}/", client_url=endpoint, **options)

    def read(found: Found) -> list[str]:
        found.update((name, [content]) for name, content in dataset)
        return dataset.skipped_urls()

    return read


def _shards(endpoint: str, bucket: str, **options: Any) -> Read:
    reader = AISShardReader(urls_list=f"ais://{bucket}/", client_url=endpoint, **options)

    def read(found: Found) -> list[str]:
        for _, files in reader:
            found.setdefault(_name(files.url), []).append(files["bin"])
        return reader.skipped_urls()

    return read


def _streams(endpoint: str, bucket: str, **options: Any) -> Read:
    reader = AISMultiShardStream([DataShard(endpoint, bucket)], **options)

    def read(found: Found) -> list[str]:
        for (content,) in reader:
            name = content.partition(b";")[0].split()[-1].decode()
            found.setdefault(name, []).append(content)
        return reader.skipped_urls()

    return read


def _open(endpoint: str, bucket: str, **options: Any) -> Read:
    files = AISFileSystem(endpoint, block_size=2**18, **options)
    paths = files.find(bucket)

    def read(found: Found) -> list[str]:
        for path in paths:
            with files.open(path) as file:
                found[_name(path)] = [b"".join(iter(lambda: file.read(2**16), b""))]
        return []

    return read


def _cat(endpoint: str, bucket: str, **options: Any) -> Read:
    files = AISFileSystem(endpoint, **options)
    paths = files.find(bucket)

    def read(found: Found) -> list[str]:
        found.update((_name(path), [files.cat(path)]) for path in paths)
        return []

    return read


READERS = {
    "pipe of files": Reader(_files),
    "pipe of tars": Reader(_tars, reads_tars=True),
    "pipe of samples": Reader(_samples, reads_tars=True),
    "AISMapDataset": Reader(_map),
    "AISIterDataset": Reader(_iterable),
    "AISShardReader": Reader(_shards, reads_tars=True),
    "AISMultiShardStream": Reader(_streams, reads_tars=True),
    "open": Reader(_open, skips=False, asks_again=True),
    "cat": Reader(_cat, skips=False),
}
