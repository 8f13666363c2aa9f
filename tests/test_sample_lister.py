"""The chain of references: listed, shuffled, shared between workers and read by ranges."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISSampleLoader, ShardIndex, errors
from aisdatapipes.datapipes import AISSampleLister, IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.tars import sample, shard

COUNT = 35


@pytest.fixture
def references(
    ais_cluster: LocalCluster, ais_bucket: Bucket, shard_urls: list[str]
) -> AISSampleLister:
    """Of 35 samples in five shards."""
    assert shard_urls
    return AISSampleLister([f"ais://{ais_bucket.name}/"], url=ais_cluster.endpoint)


def expected(shard_urls: list[str]) -> list[dict[str, Any]]:
    """Return all samples."""
    return [sample(number, shard_urls[number // 7]) for number in range(COUNT)]


def test_references_are_read_as_shards_are(
    references: AISSampleLister, shard_urls: list[str], ais_cluster: LocalCluster
) -> None:
    """The same dictionaries in the same order."""
    chain = references.load_samples_by_ais(ais_cluster.endpoint)
    assert list(chain) == list(AISSampleLoader(shard_urls, ais_cluster.endpoint))
    assert list(chain) == expected(shard_urls)
    assert chain.counters().objects == 2 * COUNT


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_chain_shuffles_all_and_shares(
    references: AISSampleLister,
    shard_urls: list[str],
    ais_cluster: LocalCluster,
    num_workers: int,
) -> None:
    """Each sample once, in a random order over all shards, another one in each epoch."""
    chain = references.shuffle(buffer_size=1000).sharding_filter()
    chain = chain.load_samples_by_ais(ais_cluster.endpoint)
    loader = DataLoader(chain, batch_size=None, num_workers=num_workers, shuffle=True)
    epochs = [list(loader) for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch, key=lambda one: one["__key__"]) == expected(shard_urls)
    assert len({tuple(one["__key__"] for one in epoch) for epoch in epochs}) == 2


def test_a_saved_index_is_a_source(
    references: AISSampleLister, shard_urls: list[str], ais_cluster: LocalCluster, tmp_path: Any
) -> None:
    """Nothing is listed, and no header read."""
    ShardIndex(references._build()).save(tmp_path / "i")
    index = ShardIndex.load(tmp_path / "i")
    chain = IterableWrapper(index).load_samples_by_ais(ais_cluster.endpoint)
    assert list(chain) == expected(shard_urls)


def test_it_is_indexed_once(shard_urls: list[str], faults: FaultProxy, ais_bucket: Bucket) -> None:
    """For all iterators; a pickle of it has what was found."""
    assert shard_urls
    lister = AISSampleLister([f"ais://{ais_bucket.name}/"], url=faults.endpoint)
    assert len(list(lister)) == COUNT
    requests = len(faults.requests)
    assert list(pickle.loads(pickle.dumps(lister))) == list(lister)
    assert len(faults.requests) == requests


def test_errors_follow_the_policy(
    references: AISSampleLister, ais_bucket: Bucket, ais_cluster: LocalCluster
) -> None:
    """Of a shard that is gone each sample is skipped, or the first raises."""
    entries = list(references)
    ais_bucket.object("1.tar").delete()
    chain = AISSampleLoader(entries, ais_cluster.endpoint, on_error="skip")
    assert len(list(chain)) == COUNT - 7
    assert chain.counters().skipped == 7
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '1\.tar'"):
        list(AISSampleLoader(entries, ais_cluster.endpoint))


def test_a_shard_that_was_replaced(
    references: AISSampleLister,
    ais_bucket: Bucket,
    ais_cluster: LocalCluster,
    put_object: PutObject,
) -> None:
    """It is told by the names of what is there."""
    entries = list(references)
    put_object(ais_bucket, "1.tar", shard(21, 7))
    with pytest.raises(errors.ObjectChangedError, match=r"'1\.tar'.*was replaced since"):
        list(AISSampleLoader(entries, ais_cluster.endpoint))


def test_urls_and_references_are_not_mixed(
    references: AISSampleLister, shard_urls: list[str], ais_cluster: LocalCluster
) -> None:
    """In neither order."""
    entries = list(references)
    for mixed in ([shard_urls[0], entries[0]], [entries[0], shard_urls[0]]):
        with pytest.raises(TypeError, match="and not both"):
            list(AISSampleLoader(mixed, ais_cluster.endpoint))  # pyright: ignore[reportArgumentType]


def test_it_has_the_length_that_it_is_given(references: AISSampleLister) -> None:
    """And none without."""
    assert len(AISSampleLister([], "localhost:1", length=7)) == 7
    with pytest.raises(TypeError, match="AISSampleLister has no length"):
        len(references)
