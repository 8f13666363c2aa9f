"""Shard readers with an index: counts for nothing, and samples dealt in place of shards."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardReader, Manifest, ShardIndex, errors, merge_states
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.tars import member, pack, shard

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

COUNT = 35


@pytest.fixture
def index(ais_cluster: LocalCluster, shard_urls: list[str]) -> ShardIndex:
    """Of 35 samples in five shards."""
    return ShardIndex.build(
        manifest=Manifest.from_urls(shard_urls), client_url=ais_cluster.endpoint
    )


def numbers(samples: Any) -> list[int]:
    """Return the numbers of samples."""
    return [int(basename) for basename, _ in samples]


def test_counts_come_from_the_index(shard_urls: list[str], faults: FaultProxy) -> None:
    """No shard is read for the length, nor for equal steps."""
    manifest = Manifest.from_urls(shard_urls)
    index = ShardIndex.build(manifest=manifest, client_url=faults.endpoint)
    before = faults.count("GET /v1/objects")
    reader = AISShardReader(index=index, rank=0, world_size=2)
    assert len(reader) == 21
    assert faults.count("GET /v1/objects") == before
    assert numbers(AISShardReader(index=index)) == list(range(COUNT))


def test_samples_are_those_of_whole_shards(index: ShardIndex) -> None:
    """The same pairs in the same order; each part is one request."""
    whole, dealt = AISShardReader(index=index), AISShardReader(index=index, deal="samples")
    expected = [(name, files, files.key, files.url) for name, files in whole]
    assert [(name, files, files.key, files.url) for name, files in dealt] == expected
    assert len(dealt) == COUNT


@pytest.mark.parametrize("num_workers", [2, 8])
@pytest.mark.parametrize("shuffle", [False, True])
def test_many_workers_share_few_shards(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    num_workers: int,
    shuffle: bool,
) -> None:
    """Three shards, and each worker has its part."""
    for number in range(3):
        put_object(ais_bucket, f"{number}.tar", shard(7 * number, 7))
    index = ShardIndex.build(f"ais://{ais_bucket.name}/", client_url=ais_cluster.endpoint)
    reader = AISShardReader(index=index, deal="samples", shuffle=shuffle)
    loader = DataLoader(reader, batch_size=1, num_workers=num_workers, collate_fn=list)
    found = numbers(chain.from_iterable(loader))
    assert sorted(found) == list(range(21))
    assert (found == list(range(21))) is not shuffle


@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_ranks_make_equally_many_steps(index: ShardIndex, uneven: Any) -> None:
    """Four ranks share five shards of seven."""
    readers = [
        AISShardReader(index=index, deal="samples", rank=rank, world_size=4, uneven=uneven)
        for rank in range(4)
    ]
    parts = [numbers(reader) for reader in readers]
    sizes = {"pad": {9}, "drop": {8}, "keep": {8, 9}}[uneven]
    assert {*map(len, parts)} == sizes
    assert [len(reader) for reader in readers] == list(map(len, parts))
    assert len(set(chain.from_iterable(parts))) == (32 if uneven == "drop" else COUNT)


def big_index(cluster: LocalCluster, bucket: Bucket, put_object: PutObject) -> ShardIndex:
    """Of 800 samples in two shards, so that parts have three."""
    for number in range(2):
        put_object(bucket, f"{number}.tar", shard(400 * number, 400))
    return ShardIndex.build(f"ais://{bucket.name}/", client_url=cluster.endpoint)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stop", [2, 100])
def test_it_resumes_anywhere(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    shuffle: bool,
    stop: int,
) -> None:
    """In the middle of a part too: what is left comes, and nothing else."""
    index = big_index(ais_cluster, ais_bucket, put_object)
    options: dict[str, Any] = {"index": index, "deal": "samples", "shuffle": shuffle}
    expected = numbers(AISShardReader(**options))
    assert sorted(expected) == list(range(800))
    reader = AISShardReader(**options)
    begun = numbers(islice(iter(reader), stop))
    again = AISShardReader(**options)
    again.load_state_dict(reader.state_dict())
    assert begun + numbers(again) == expected


def test_it_resumes_with_other_numbers_of_ranks(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """By merged states; every sample comes once."""
    index = big_index(ais_cluster, ais_bucket, put_object)
    options: dict[str, Any] = {
        "index": index,
        "deal": "samples",
        "shuffle": True,
        "uneven": "keep",
    }
    begun, states = [], []
    for rank in range(2):
        reader = AISShardReader(**options, rank=rank, world_size=2)
        begun += numbers(islice(iter(reader), 100 + rank))
        states.append(reader.state_dict())
    merged = merge_states(states)
    rest = []
    for rank in range(3):
        reader = AISShardReader(**options, rank=rank, world_size=3)
        reader.load_state_dict(merged)
        rest += numbers(reader)
    assert sorted(begun + rest) == list(range(800))


def test_a_loader_resumes_in_mid_epoch(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """With workers."""
    index = big_index(ais_cluster, ais_bucket, put_object)

    def make() -> StatefulDataLoader:
        reader = AISShardReader(index=index, deal="samples", shuffle=True)
        return StatefulDataLoader(reader, 7, num_workers=2, collate_fn=list)

    loader = make()
    batches = iter(loader)
    begun = [numbers(next(batches)) for _ in range(30)]
    state = loader.state_dict()
    rest = list(map(numbers, batches))
    again = make()
    again.load_state_dict(state)
    assert list(map(numbers, again)) == rest
    assert sorted(chain.from_iterable(begun + rest)) == list(range(800))


def test_a_state_of_whole_shards_is_of_another_run(index: ShardIndex) -> None:
    """Positions mean other things."""
    state = AISShardReader(index=index).state_dict()
    with pytest.raises(errors.StateMismatchError, match=r"the state is of"):
        AISShardReader(index=index, deal="samples").load_state_dict(state)


def test_a_shard_that_vanishes(index: ShardIndex, ais_bucket: Bucket) -> None:
    """It raises; or, skipped, its parts are left out, and the rest comes."""
    strict = AISShardReader(index=index, deal="samples")
    lenient = AISShardReader(index=index, deal="samples", on_error="skip")
    ais_bucket.object("2.tar").delete()
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '2\.tar'"):
        list(strict)
    assert numbers(lenient) == [*range(14), *range(21, COUNT)]
    assert {url[-6:] for url in lenient.skipped_urls()} == {"/2.tar"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deal": "samples"}, "which takes index="),
        ({"deal": "cards"}, "deal is 'cards': give 'shards' or 'samples'"),
    ],
)
def test_what_cannot_be_dealt(
    shard_urls: list[str], ais_cluster: LocalCluster, options: Any, message: str
) -> None:
    """It is refused when the reader is made."""
    manifest = Manifest.from_urls(shard_urls)
    with pytest.raises(ValueError, match=message):
        AISShardReader(manifest=manifest, client_url=ais_cluster.endpoint, **options)


def test_members_that_are_apart(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """Such samples are not dealt; in order, each place of one is a sample, and is counted so."""
    files = [member(f"{n}.{end}", b"1") for end in ("jpg", "cls") for n in range(4)]
    put_object(ais_bucket, "a.tar", pack(files))
    index = ShardIndex.build(f"ais://{ais_bucket.name}/", client_url=ais_cluster.endpoint)
    reader = AISShardReader(index=index)
    assert len(reader) == len(list(reader)) == 8
    with pytest.raises(ValueError, match="apart in their shards"):
        AISShardReader(index=index, deal="samples")
