"""Length: what `len` says of a loader is what the loader gives, in every combination."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from torch.utils.data import ChainDataset, DataLoader, IterableDataset

from aisdatapipes import AISBaseIterDataset, AISIterDataset, AISMultiShardStream, AISShardReader
from aisdatapipes.testing import LocalCluster
from aisdatapipes.types import Bucket, DataShard
from conftest import PutObject
from support.tars import shard

OBJECTS = 37
SHARDS = (5, 9, 1, 7, 7, 3)

pytestmark = [
    # On machines with fewer cores than the workers of a test.
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Objects below ``o/`` and shards of unequal sizes below ``t/``."""
    for number in range(OBJECTS):
        put_object(ais_bucket, f"o/{number:03}", b"x")
    for number, size in enumerate(SHARDS):
        put_object(ais_bucket, f"t/{number}.tar", shard(100 * number, size))
    return ais_bucket


def dataset_of(kind: str, bucket: Bucket, endpoint: str, **options: Any) -> IterableDataset[Any]:
    """Return a dataset of the bucket."""
    if kind == "rows":
        return AISMultiShardStream([DataShard(endpoint, bucket.name, prefix="t/")], **options)
    if kind == "objects":
        return AISIterDataset(bucket, prefix_map={bucket: "o/"}, **options)
    return AISShardReader(bucket, prefix_map={bucket: "t/"}, **options)


@pytest.mark.parametrize("kind", ["objects", "shards", "rows"])
def test_len_is_the_number_of_batches(ais_cluster: LocalCluster, bucket: Bucket, kind: str) -> None:
    """For any batch size, workers, ranks and order: exact, or a TypeError that says why."""
    chance = random.Random(11)
    seen = set()
    for _ in range(14):
        world_size = chance.choice([1, 1, 2, 3])
        batch_size = chance.choice([None, 1, 2, 4, 7])
        workers = chance.choice([0, 0, 1, 2, 3])
        drop_last = batch_size is not None and chance.random() < 0.4
        options = {"shuffle": chance.random() < 0.5, "uneven": chance.choice(["pad", "keep"])}
        for rank in range(world_size):
            place = {"rank": rank, "world_size": world_size}
            loader = DataLoader(
                dataset_of(kind, bucket, ais_cluster.endpoint, **options, **place),
                batch_size=batch_size,
                num_workers=workers,
                drop_last=drop_last,
                collate_fn=list,
            )
            try:
                length = len(loader)
            except TypeError as error:
                seen.add(str(error).partition(",")[0])
            else:
                assert length == sum(1 for _ in loader), (options, place, loader.__dict__)
                seen.add("exact")
    assert "exact" in seen
    assert seen <= {"exact", "how many batches there are differs from epoch to epoch"}


def test_len_of_a_dataset_is_its_samples(bucket: Bucket) -> None:
    """Who is no loader gets the number of samples; `list` reads without asking for it twice."""
    objects = AISIterDataset(bucket, prefix_map={bucket: "o/"})
    assert len(objects) == len(list(objects)) == OBJECTS
    shards = AISShardReader(bucket, prefix_map={bucket: "t/"}, shuffle=True)
    assert len(shards) == len(list(shards)) == sum(SHARDS)


def test_len_of_datasets_in_others(bucket: Bucket) -> None:
    """What several workers make of a chain of datasets cannot be told; with one it can."""
    chain = ChainDataset([AISIterDataset(bucket, prefix_map={bucket: "o/"}) for _ in range(2)])
    loader = DataLoader(chain, batch_size=4, collate_fn=list)
    assert len(loader) == sum(1 for _ in loader) == 19
    with pytest.raises(TypeError, match="ChainDataset cannot be told"):
        len(DataLoader(chain, batch_size=4, num_workers=2))


def test_a_base_class_has_no_length(bucket: Bucket) -> None:
    """Its subclass says what a sample is, and so how many there are."""

    class Halves(AISBaseIterDataset):
        def __iter__(self) -> Iterator[Any]:
            found = self.read(self.share())
            return itertools.chain.from_iterable((content, content) for _, content in found)

    halves = Halves(bucket, prefix_map={bucket: "o/"})
    with pytest.raises(TypeError):
        len(halves)  # pyright: ignore[reportArgumentType]
    assert len(list(DataLoader(halves, batch_size=None))) == 2 * OBJECTS
