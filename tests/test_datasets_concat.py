"""Concatenated map datasets: one request for a batch, whatever is nested in what."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from aistore.sdk import Bucket
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, random_split

from aisdatapipes import AISBaseMapDataset, AISConcatDataset, AISMapDataset, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy

COUNT = 12
BATCHES = "GET /v1/ml/moss/.*pid="
OBJECTS = "GET /v1/objects/"


@pytest.fixture(scope="module")
def urls(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[list[str]]:
    """The URLs of two buckets with objects of the same names."""
    names = [f"test-{uuid.uuid4().hex}" for _ in range(2)]
    buckets = [ais_cluster.client().bucket(name).create() for name in names]
    for number, bucket in enumerate(buckets):
        for name in range(COUNT):
            put_object(bucket, f"{name:02d}", b"%d/%02d" % (number, name))
    yield [f"ais://{name}/" for name in names]
    for bucket in buckets:
        bucket.delete()


def made(faults: FaultProxy, urls: list[str], **options: Any) -> list[AISMapDataset]:
    """Return a dataset of each bucket."""
    return [AISMapDataset(url, client_url=faults.endpoint, **options) for url in urls]


def upper(pair: tuple[str, bytes]) -> str:
    """Transform a sample."""
    return pair[1].decode() + "!"


def contents(batches: Any) -> list[bytes]:
    """Return the contents in all batches."""
    return [content for batch in batches for _, content in batch]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sum_reads_a_batch_by_one_request(
    urls: list[str], faults: FaultProxy, workers: int
) -> None:
    """``a + b`` gives every sample of both once, each shuffled batch of both by one GetBatch."""
    first, second = made(faults, urls)
    both = first + second
    loader = DataLoader(both, batch_size=8, shuffle=True, num_workers=workers, collate_fn=list)
    expected = sorted(
        contents([[dataset[at] for at in range(COUNT)] for dataset in (first, second)])
    )
    before = both.counters().requests
    assert sorted(contents(loader)) == expected
    assert faults.count(BATCHES) == both.counters().requests - before == 3
    assert both.counters().objects == 4 * COUNT


def nested(datasets: list[Dataset], chance: random.Random, depth: int) -> Dataset:
    """Return subsets of concatenations of … of datasets, at random."""
    if not depth:
        return chance.choice(datasets)
    parts = [nested(datasets, chance, depth - 1) for _ in range(chance.randint(1, 3))]
    kind = chance.choice([ConcatDataset, AISConcatDataset])
    joined: Any = kind(parts)
    some = [chance.randrange(-len(joined), len(joined)) for _ in range(chance.randint(1, 9))]
    return Subset(joined, some) if chance.random() < 0.6 else joined


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_is_the_samples_one_by_one(urls: list[str], faults: FaultProxy, seed: int) -> None:
    """Law: of any nesting, a batch of indices is what each index gives, by at most one request."""
    chance = random.Random(seed)
    plain = made(faults, urls)
    whole = AISConcatDataset([nested(list(plain), chance, depth) for depth in (2, 1, 3)])
    indices = [chance.randrange(-len(whole), len(whole)) for _ in range(10)]
    one_by_one = [whole[index] for index in indices]
    before = len(faults.requests), faults.count(BATCHES)
    assert whole.__getitems__(indices) == one_by_one
    assert faults.count(OBJECTS) <= 2 * len(indices)
    assert faults.count(BATCHES) - before[1] <= 1
    assert len(faults.requests) - before[0] <= 2  # the request and its redirect


def test_random_splits_of_a_sum(urls: list[str], faults: FaultProxy) -> None:
    """`random_split` of a sum, and a sum of three, keep to one request for a batch."""
    first, second = made(faults, urls)
    parts = random_split(first + second + first, [20, 16])
    for part in parts:
        assert [len(batch) for batch in DataLoader(part, batch_size=20, collate_fn=list)] == [
            len(part)
        ]
    assert (faults.count(BATCHES), faults.count(OBJECTS)) == (2, 0)


def test_each_dataset_has_its_own_transform(urls: list[str], faults: FaultProxy) -> None:
    """Datasets that differ in transform and names only are read together, each in its way."""
    plain, other = made(faults, urls)[0], made(faults, urls, transform=upper)[1]
    named = made(faults, urls, full_urls=True)[1]
    batch = AISConcatDataset([plain, other, named]).__getitems__([COUNT + 1, 0, -1])
    assert batch == ["1/01!", ("00", b"0/00"), (f"{urls[1]}11", b"1/11")]
    assert faults.count(BATCHES) == 1


def test_datasets_that_read_in_another_way_are_read_apart(
    urls: list[str], faults: FaultProxy
) -> None:
    """Other settings make another request; other datasets and subclasses stay what they are."""

    class Sizes(AISBaseMapDataset):
        def __getitem__(self, index: int) -> int:
            return len(self.read(index)[1])

    class Doubled(AISMapDataset):
        def __getitem__(self, index: int) -> Any:
            name, content = super().__getitem__(index)
            return name, content * 2

    kinds = [
        *made(faults, urls),
        *made(faults, urls, settings=Settings(page_size=7)),
        Sizes(urls[0], client_url=faults.endpoint),
        Doubled(urls[0], client_url=faults.endpoint),
        TensorDataset(torch.arange(COUNT)),
    ]
    whole = AISConcatDataset(kinds)
    indices = [number * COUNT + 3 for number in range(len(kinds))]
    read = whole.__getitems__(indices + [index + 1 for index in indices])
    assert read[:6] == [
        ("03", b"0/03"),
        ("03", b"1/03"),
        ("03", b"0/03"),
        ("03", b"1/03"),
        4,
        ("03", b"0/030/03"),
    ]
    assert int(read[6][0]) == 3
    assert faults.count(BATCHES) == 2


def test_what_is_skipped(
    urls: list[str], faults: FaultProxy, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A skipped object is left out of its place, and counted and named by the sum."""
    bucket = ais_cluster.client().bucket(urls[1].split("/")[2])
    put_object(bucket, "gone", b"")
    first, second = made(faults, urls, on_error="skip")
    bucket.object("gone").delete()
    both = first + second
    batch = both.__getitems__([0, len(both) - 1, 1])
    assert [content for _, content in batch] == [b"0/00", b"0/01"]
    assert both.skipped_urls() == [f"{urls[1]}gone"]
    assert both.counters().skipped == 1
    with pytest.raises(errors.TooManyErrorsError):
        both.__getitems__([len(both) - 1])


@pytest.mark.parametrize("outside", [2 * COUNT, -2 * COUNT - 1])
def test_what_is_outside(urls: list[str], faults: FaultProxy, outside: int) -> None:
    """An index that is not there raises with the length."""
    first, second = made(faults, urls)
    with pytest.raises(IndexError, match=f"no sample {outside}: there are {2 * COUNT}"):
        (first + second).__getitems__([0, outside])


def test_a_sample_says_where_it_is_from(urls: list[str], faults: FaultProxy) -> None:
    """Objects of the same name in two buckets are told apart, by manifest and by full URLs."""
    dataset = AISMapDataset(urls, client_url=faults.endpoint)
    entries = [dataset.manifest[0], dataset.manifest[COUNT]]
    assert [entry.name for entry in entries] == ["00", "00"]
    assert [entry.url for entry in entries] == [f"{url}00" for url in urls]
    assert [f"{entry.bucket}/" for entry in entries] == urls
    dataset = AISMapDataset(urls, client_url=faults.endpoint, full_urls=True)
    assert dataset[0] == (f"{urls[0]}00", b"0/00")
    assert dataset.__getitems__([COUNT]) == [(f"{urls[1]}00", b"1/00")]


def test_a_bucket_on_another_cluster(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """The bucket of an entry with a full URL is named without the cluster."""
    put_object(ais_bucket, "a#1", b"")
    manifest = AISMapDataset(ais_bucket, client_url=faults.endpoint).manifest
    assert manifest[0].url.startswith("http")
    assert manifest[0].bucket == f"ais://{ais_bucket.name}"
