"""The table of readers: each lists, and delivers pairs of a key and a content, once an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from torch.utils.data import DataLoader, IterDataPipe

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
from outages.contents import OBJECTS, SAMPLES

__all__ = ["READERS", "Pair", "Place", "Reader", "named"]

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
        epoch: Return what delivers one epoch, and what tells the URLs that it has skipped.
        workers: Processes of its `DataLoader`.
    """

    name: str
    keys: list[str]
    epoch: Callable[[Place, int], tuple[Iterable[Pair], Callable[[], list[str]]]]
    workers: int = 0

    @property
    def title(self) -> str:
        """Its name and the number of its workers."""
        return f"{self.name}, {self.workers} workers" if self.workers else self.name


def key_of(path: str) -> str:
    """Return the key in the name of an object or of a shard's member."""
    return PurePosixPath(path).name.removesuffix(".bin")


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


def files(place: Place, workers: int):
    """List and load objects, by pipes."""
    urls = _listed(place, "objects/")
    loader = AISFileLoader(urls, url=place.endpoint, **place.options)
    return DataLoader(loader.map(read_pair), None, num_workers=workers), loader.skipped_urls


def tars(place: Place, workers: int):
    """List and load shards, and take the files out of them, by pipes."""
    urls = _listed(place, "shards/")
    loader = AISFileLoader(urls, url=place.endpoint, **place.options)
    pipe = AISTarLoader(loader).map(read_pair)
    return DataLoader(pipe, None, num_workers=workers), loader.skipped_urls


def by_index(place: Place, workers: int):
    """List, and get objects by their numbers, in batches."""
    dataset = AISMapDataset(
        urls_list=f"{place.bucket}/objects/",
        client_url=place.endpoint,
        transform=name_pair,
        **place.options,
    )
    loader = DataLoader(dataset, batch_size=16, num_workers=workers, collate_fn=list)
    return _Flat(loader), dataset.skipped_urls


def in_order(place: Place, workers: int):
    """List, and iterate over objects."""
    dataset = AISIterDataset(
        urls_list=f"{place.bucket}/objects/",
        client_url=place.endpoint,
        transform=name_pair,
        **place.options,
    )
    return DataLoader(dataset, None, num_workers=workers), dataset.skipped_urls


def samples(place: Place, workers: int):
    """List, and iterate over the samples in shards."""
    dataset = AISShardReader(
        urls_list=f"{place.bucket}/shards/",
        client_url=place.endpoint,
        transform=take_member,
        **place.options,
    )
    return DataLoader(dataset, None, num_workers=workers), dataset.skipped_urls


def cat(place: Place, workers: int):  # noqa: ARG001
    """Find and get files of a filesystem."""
    system = AISFileSystem(place.endpoint, settings=Settings(**place.settings))
    return _Files(system, f"{place.bucket}/objects/"), list


def _listed(place: Place, prefix: str) -> IterDataPipe[str]:
    settings = Settings(**place.settings)
    lister = AISFileLister([f"{place.bucket}/{prefix}"], url=place.endpoint, settings=settings)
    return lister.sharding_filter()


@dataclass(frozen=True)
class _Files:
    """The files of a folder."""

    system: AISFileSystem
    folder: str

    def __iter__(self) -> Iterator[Pair]:
        paths = self.system.find(self.folder)
        for begin in range(0, len(paths), _FILES_AT_A_TIME):
            part = self.system.cat(paths[begin : begin + _FILES_AT_A_TIME])
            yield from ((key_of(path), data) for path, data in part.items())


@dataclass(frozen=True)
class _Flat:
    """What is in batches."""

    batches: Iterable[list[Pair]]

    def __iter__(self) -> Iterator[Pair]:
        for batch in self.batches:
            yield from batch


READERS = [
    Reader("AISFileLister + AISFileLoader", OBJECTS, files),
    Reader("AISFileLister + AISFileLoader", OBJECTS, files, 2),
    Reader("AISFileLoader + load_from_tar", SAMPLES, tars),
    Reader("AISFileLoader + load_from_tar", SAMPLES, tars, 2),
    Reader("AISMapDataset", OBJECTS, by_index),
    Reader("AISMapDataset", OBJECTS, by_index, 2),
    Reader("AISIterDataset", OBJECTS, in_order),
    Reader("AISIterDataset", OBJECTS, in_order, 2),
    Reader("AISShardReader", SAMPLES, samples),
    Reader("AISShardReader", SAMPLES, samples, 2),
    Reader("filesystem", OBJECTS, cat),
]
"""All of them."""


def named(*titles: str) -> list[Reader]:
    """Return some readers by their titles."""
    found = {reader.title: reader for reader in READERS}
    return [found[title] for title in titles]
