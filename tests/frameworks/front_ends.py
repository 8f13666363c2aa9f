"""The same data by every front end: samples that are the numbers of objects."""

from __future__ import annotations

import warnings
from typing import Any

from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISIterDataset, AISMapDataset, AISShardReader

OBJECTS = 203  # which no number of ranks, workers or batches divides
SHARD_SIZES = (20, 35, 28, 41, 33, 44)
BATCH = 8

# torch says so where more batches come than `len` promised; a job shall fail then.
warnings.filterwarnings("error", message="Length of IterableDataset")


def number_of(item: tuple[str, Any]) -> int:
    """Return the number of an object or sample: the end of its URL or name."""
    return int(item[0][-4:])


def dataset(front_end: str, bucket: str, **options: Any) -> Any:
    """Return the numbers in a bucket by ``iter``, ``shards``, ``map`` or ``pipes``, shuffled.

    Args:
        front_end: Which.
        bucket: Its URL.
        options: Of the dataset; pipes have none.
    """
    objects = f"{bucket}/objects/"
    if front_end == "iter":
        return AISIterDataset(urls_list=objects, shuffle=True, transform=number_of, **options)
    if front_end == "shards":
        shards = f"{bucket}/shards/"
        return AISShardReader(urls_list=shards, shuffle=True, transform=number_of, **options)
    if front_end == "map":
        return AISMapDataset(urls_list=objects, transform=number_of, **options)
    urls = AISFileLister([objects]).shuffle().sharding_filter()
    return urls.load_files_by_ais().map(number_of)


def loader(front_end: str, bucket: str, workers: int = 0, **options: Any) -> DataLoader[int]:
    """Return a loader of `dataset`, in batches of `BATCH`, whose workers live for all epochs."""
    return DataLoader(
        dataset(front_end, bucket, **options),
        batch_size=BATCH,
        shuffle=True if front_end == "map" else None,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def length_of(batches: Any) -> int | None:
    """Return what `len` says, if it says anything."""
    try:
        return len(batches)
    except TypeError:
        return None


def padding_of(data: Any) -> int:
    """Return how many samples a dataset says that it repeated until now; pipes never do."""
    return data.counters().padding if hasattr(data, "counters") else 0


def numbers_in(front_end: str) -> set[int]:
    """Return what an epoch has."""
    return set(range(sum(SHARD_SIZES) if front_end == "shards" else OBJECTS))
