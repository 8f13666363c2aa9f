"""The table of readers: they deliver pairs of a key and a content, each once in an epoch.

They are made once, as in a training: pipes and the filesystem list in every epoch, datasets have
listed when they are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from torch.utils.data import DataLoader
from typing_extensions import override

from aisdatapipes import (
    AISFileLister,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISShardReader,
    AISTarLoader,
    Settings,
)
from aisdatapipes.filesystem import AISFileSystem
from outages.contents import OBJECTS, SAMPLES, shard_keys

__all__ = ["READERS", "Pair", "Place", "Reader", "keys_in", "named"]

Pair = tuple[str, bytes]

_FILES_AT_A_TIME = 20


@dataclass(frozen=True)
class Place:
    """Where a reader reads, and how.

    Attributes:
        endpoint: Address of the cluster.
        bucket: URL of the bucket, which `contents` has filled.
        settings: Keywords of its `Settings`.
        on_error: What it does with objects that fail.
    """

    endpoint: str
    bucket: str
    settings: dict[str, Any] = field(default_factory=dict)
    on_error: Literal["raise", "skip"] = "raise"

    @property
    def options(self) -> dict[str, Any]:
        """Keywords for what loads."""
        return {"settings": Settings(**self.settings), "on_error": self.on_error}


@dataclass(frozen=True)
class Reader:
    """One way to read a bucket.

    Attributes:
        name: What the table calls it.
        keys: What is due in an epoch.
        make: Return what delivers an epoch each time, and what tells the URLs that it has skipped.
        workers: Processes of its `DataLoader`.
        lists: Whether it lists in every epoch.
    """

    name: str
    keys: list[str]
    make: Callable[[Place, int], tuple[Iterable[Pair], Callable[[], list[str]]]]
    workers: int = 0
    lists: bool = True

    @property
    def title(self) -> str:
        """Its name and the number of its workers."""
        return f"{self.name}, {self.workers} workers" if self.workers else self.name


def key_of(path: str) -> str:
    """Return the key in the name of an object or of a shard's member."""
    return PurePosixPath(path).name.removesuffix(".bin")


def keys_in(url: str) -> list[str]:
    """Return the keys of what an object holds: of itself, or of the samples of a shard."""
    shard, dot, _ = PurePosixPath(url).name.partition(".tar")
    return shard_keys(int(shard)) if dot else [key_of(url)]


def read_pair(pair: tuple[str, Any]) -> Pair:
    """Read what a pipe delivers, in the process that opened it."""
    path, stream = pair
    return key_of(path), stream.read()


def name_pair(pair: tuple[str, bytes]) -> Pair:
    """Return the pair of a dataset of objects with its key."""
    return key_of(pair[0]), pair[1]


def take_member(sample: tuple[str, dict[str, bytes]]) -> Pair:
    """Return the only file of a sample."""
    key, files = sample
    (data,) = files.values()
    return key, data


def _loader(place: Place, folder: str) -> AISFileLoader:
    settings = Settings(**place.settings)
    urls = AISFileLister([f"{place.bucket}/{folder}/"], url=place.endpoint, settings=settings)
    return AISFileLoader(urls.sharding_filter(), url=place.endpoint, **place.options)


def files(place: Place, workers: int):
    """List and load objects, by pipes."""
    loader = _loader(place, "objects")
    return DataLoader(loader.map(read_pair), None, num_workers=workers), loader.skipped_urls


def tars(place: Place, workers: int):
    """List and load shards, and take the files out of them, by pipes."""
    loader = _loader(place, "shards")
    pipe = AISTarLoader(loader).map(read_pair)
    return DataLoader(pipe, None, num_workers=workers), loader.skipped_urls


def by_index(place: Place, workers: int):
    """Get objects by their numbers, in batches."""
    dataset = AISMapDataset(transform=name_pair, **_listed(place, "objects"))
    loader = DataLoader(dataset, batch_size=16, num_workers=workers, collate_fn=list)
    return _Pairs(lambda: itertools.chain.from_iterable(loader)), dataset.skipped_urls


def in_order(place: Place, workers: int):
    """Iterate over objects."""
    dataset = AISIterDataset(transform=name_pair, **_listed(place, "objects"))
    return DataLoader(dataset, None, num_workers=workers), dataset.skipped_urls


def samples(place: Place, workers: int):
    """Iterate over the samples in shards."""
    dataset = AISShardReader(transform=take_member, **_listed(place, "shards"))
    return DataLoader(dataset, None, num_workers=workers), dataset.skipped_urls


def _listed(place: Place, folder: str) -> dict[str, Any]:
    return {
        "urls_list": f"{place.bucket}/{folder}/",
        "client_url": place.endpoint,
        **place.options,
    }


def cat(place: Place, workers: int):  # noqa: ARG001
    """Find and get files of a filesystem."""
    system = AISFileSystem(place.endpoint, settings=Settings(**place.settings))
    return _Pairs(lambda: _cat(system, f"{place.bucket}/objects/")), list


def _cat(system: AISFileSystem, folder: str) -> Iterator[Pair]:
    paths = system.find(folder)
    for begin in range(0, len(paths), _FILES_AT_A_TIME):
        part = system.cat(paths[begin : begin + _FILES_AT_A_TIME])
        yield from ((key_of(path), data) for path, data in part.items())


class _Pairs(Iterable[Pair]):
    """An iterable that begins anew each time."""

    def __init__(self, begin: Callable[[], Iterable[Pair]]) -> None:
        self._begin = begin

    @override
    def __iter__(self) -> Iterator[Pair]:
        return iter(self._begin())


READERS = [
    Reader("AISFileLister + AISFileLoader", OBJECTS, files),
    Reader("AISFileLister + AISFileLoader", OBJECTS, files, 2),
    Reader("AISFileLoader + load_from_tar", SAMPLES, tars),
    Reader("AISFileLoader + load_from_tar", SAMPLES, tars, 2),
    Reader("AISMapDataset", OBJECTS, by_index, lists=False),
    Reader("AISMapDataset", OBJECTS, by_index, 2, lists=False),
    Reader("AISIterDataset", OBJECTS, in_order, lists=False),
    Reader("AISIterDataset", OBJECTS, in_order, 2, lists=False),
    Reader("AISShardReader", SAMPLES, samples, lists=False),
    Reader("AISShardReader", SAMPLES, samples, 2, lists=False),
    Reader("filesystem", OBJECTS, cat),
]
"""All of them."""


def named(*titles: str) -> list[Reader]:
    """Return some readers by their titles."""
    found = {reader.title: reader for reader in READERS}
    return [found[title] for title in titles]
