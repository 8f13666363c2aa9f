"""The map datasets on a real node: samples by index, and a loader's batch by one request."""

from __future__ import annotations

from typing import Any

import pytest
from aistore.sdk import Bucket, Client
from torch.utils.data import DataLoader, Subset

from aisdatapipes import (
    AISBaseMapDataset,
    AISDataset,
    AISMapDataset,
    Manifest,
    Settings,
    errors,
)
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy

# Torch compares the number of workers with that of processors, which is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")

COUNT = 40
EXPECTED = [(f"{number:03d}", b"content %d" % number) for number in range(COUNT)]
BATCHES = "GET /v1/ml/moss/.*pid="
OBJECTS = "GET /v1/objects/"
LISTINGS = "GET /v1/buckets/"
# Spawned ones import torch, each for seconds of a core.
WORKERS = [(0, None), (1, "spawn"), (2, "fork"), (2, "forkserver"), (4, "fork")]


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with the objects of `EXPECTED`."""
    for name, content in EXPECTED:
        put_object(ais_bucket, name, content)
    return ais_bucket


@pytest.fixture
def url(filled: Bucket) -> str:
    """The URL of that bucket."""
    return f"ais://{filled.name}/"


def upper(pair: tuple[str, bytes]) -> tuple[str, bytes]:
    """Transform a sample."""
    return pair[0], pair[1].upper()


@pytest.mark.parametrize(("workers", "start_method"), WORKERS)
def test_a_shuffled_loader(
    url: str, faults: FaultProxy, workers: int, start_method: str | None
) -> None:
    """In every epoch each sample comes once and whole, and a batch is one GetBatch."""
    dataset = AISDataset(faults.endpoint, url, transform=upper)
    loader = DataLoader(
        dataset,
        batch_size=8,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start_method,
        persistent_workers=workers > 0,
        collate_fn=list,
    )
    orders = []
    for _epoch in range(2):
        batches = list(loader)
        assert [len(batch) for batch in batches] == [8] * 5
        orders.append([pair for batch in batches for pair in batch])
    assert [sorted(order) for order in orders] == [[upper(pair) for pair in EXPECTED]] * 2
    assert orders[0] != orders[1]
    assert dataset.counters().requests == 10
    assert dataset.counters().objects == 2 * COUNT
    assert (faults.count(BATCHES), faults.count(OBJECTS), faults.count(LISTINGS)) == (10, 0, 1)


def test_one_listing_for_all_workers_and_epochs(filled: Bucket, faults: FaultProxy) -> None:
    """Four workers and three epochs ask the cluster once which objects there are."""
    bucket = Client(f"{faults.endpoint}/").bucket(filled.name)
    loader = DataLoader(
        AISMapDataset(bucket), batch_size=4, num_workers=4, collate_fn=list, shuffle=True
    )
    for _epoch in range(3):
        assert sum(len(batch) for batch in loader) == COUNT
    assert faults.count(LISTINGS) == 1


@pytest.mark.parametrize("by_source", [True, False])
def test_samples_by_index(
    filled: Bucket, url: str, ais_cluster: LocalCluster, by_source: bool
) -> None:
    """A sample is name and content; negative indices count from the end."""
    dataset = AISMapDataset(filled) if by_source else AISDataset(ais_cluster.endpoint, url)
    assert len(dataset) == COUNT
    assert dataset[3] == ("003", b"content 3")
    assert [dataset[-1], dataset[-COUNT]] == [EXPECTED[-1], EXPECTED[0]]
    assert list(dataset.__getitems__([-1, 0])) == [EXPECTED[-1], EXPECTED[0]]


@pytest.mark.parametrize("outside", [COUNT, -COUNT - 1])
def test_what_is_outside(filled: Bucket, outside: int) -> None:
    """An index that is not there raises with the length, alone and in a batch."""
    dataset = AISMapDataset(filled)
    for read in (lambda: dataset[outside], lambda: dataset.__getitems__([0, outside])):
        with pytest.raises(IndexError, match=f"no object {outside}: the manifest has {COUNT}"):
            read()


def test_iterating_ends(filled: Bucket) -> None:
    """As with every sequence, a for loop goes from the first to the last."""
    dataset: Any = AISMapDataset(filled, {filled: "00"})
    assert list(dataset) == EXPECTED[:10]


def test_a_batch_is_in_the_order_asked_for(filled: Bucket) -> None:
    """Any order is kept, and an index may come several times."""
    dataset = AISMapDataset(filled)
    indices = [7, 3, 7, 7, 39, 0, 3]
    assert dataset.__getitems__(indices) == [EXPECTED[index] for index in indices]
    assert dataset.__getitems__([]) == []


def test_subsets(filled: Bucket) -> None:
    """A `Subset` of torch reads by index and by batch."""
    dataset = AISMapDataset(filled)
    subset = Subset(dataset, [5, 9, 2])
    assert subset[1] == EXPECTED[9]
    loader = DataLoader(subset, batch_size=2, collate_fn=list)
    assert list(loader) == [[EXPECTED[5], EXPECTED[9]], [EXPECTED[2]]]
    assert dataset.counters().requests == 3  # one GET, one GetBatch, and a batch of one


def test_urls_and_sources_together(filled: Bucket, url: str, ais_cluster: LocalCluster) -> None:
    """Both are one dataset: URLs first, each object once, prefixes by equal sources."""
    again = ais_cluster.client().bucket(filled.name)
    dataset = AISDataset(
        ais_cluster.endpoint, [f"{url}03", f"{url}031"], [filled], prefix_map={again: ["030", "00"]}
    )
    assert [name for name, _ in dataset.read_many(range(len(dataset)))] == [
        name for name, _ in EXPECTED[30:] + EXPECTED[:10]
    ]


def test_groups_have_no_sizes_and_are_read_all_the_same(filled: Bucket, faults: FaultProxy) -> None:
    """Objects whose sizes nobody asked for are one GetBatch too, and need no listing."""
    bucket = Client(f"{faults.endpoint}/").bucket(filled.name)
    names = [name for name, _ in EXPECTED]
    dataset = AISMapDataset(bucket.objects(obj_names=names))
    assert dataset.__getitems__(range(COUNT)) == EXPECTED
    assert (faults.count(BATCHES), faults.count(LISTINGS)) == (1, 0)


def test_sources_of_two_clusters(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """Each object is read where its source is; a manifest from a file may not decide that."""
    elsewhere = ais_cluster.endpoint.replace("127.0.0.1", "localhost")
    other = Client(f"{elsewhere}/").bucket(filled.name)
    dataset = AISMapDataset([filled, other], {filled: "00", other: "01"})
    assert dataset.manifest[10].url.startswith(elsewhere)
    indices = [0, 10, 1, 11, 12, 2]
    assert dataset.__getitems__(indices) == [EXPECTED[index] for index in indices]


def test_a_loaded_manifest(url: str, faults: FaultProxy, tmp_path: Any) -> None:
    """A dataset of a saved manifest lists nothing."""
    AISDataset(faults.endpoint, url).manifest.save(tmp_path / "m")
    listings = faults.count(LISTINGS)
    dataset = AISMapDataset(manifest=Manifest.load(tmp_path / "m"), client_url=faults.endpoint)
    assert dataset.__getitems__([0, 39]) == [EXPECTED[0], EXPECTED[39]]
    assert faults.count(LISTINGS) == listings


def test_a_file_does_not_lead_elsewhere(
    filled: Bucket, ais_cluster: LocalCluster, tmp_path: Any
) -> None:
    """Of a loaded manifest, objects on a cluster that the user did not name are refused."""
    elsewhere = ais_cluster.endpoint.replace("127.0.0.1", "localhost")
    other = Client(f"{elsewhere}/").bucket(filled.name)
    AISMapDataset([filled, other], {filled: "0", other: ""}).manifest.save(tmp_path / "m")
    manifest = Manifest.load(tmp_path / "m")
    dataset = AISMapDataset(manifest=manifest, client_url=ais_cluster.endpoint)
    assert dataset[0] == EXPECTED[0]
    with pytest.raises(errors.InvalidURLError, match="is on another cluster than"):
        dataset[len(dataset) - 1]


@pytest.mark.parametrize("given", [{"urls_list": "ais://b"}, {"prefix_map": {1: "a"}}])
def test_a_manifest_stands_alone(given: dict) -> None:
    """With a manifest, sources and URLs are refused, as they would be left out."""
    manifest = Manifest.from_urls(["ais://b/o"])
    with pytest.raises(ValueError, match="a manifest already says"):
        AISMapDataset(manifest=manifest, client_url="localhost:1", **given)


def test_checksums(filled: Bucket, faults: FaultProxy) -> None:
    """With ``verify`` every object is a GET of its own, in the same order."""
    bucket = Client(f"{faults.endpoint}/").bucket(filled.name)
    dataset = AISMapDataset(bucket, {bucket: "00"}, verify="checksum")
    assert dataset.__getitems__(range(10)) == EXPECTED[:10]
    assert faults.count(BATCHES) == 0


def test_big_objects(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Objects that are streamed come whole, among small ones too."""
    contents = {f"{number}": bytes([number]) * 10 ** (number % 3 * 3) for number in range(6)}
    for name, content in contents.items():
        put_object(ais_bucket, name, content)
    dataset = AISMapDataset(ais_bucket, settings=Settings(whole_object_bytes=10_000))
    assert dataset.__getitems__([5, 0, 2, 1, 4, 3]) == [
        (name, contents[name]) for name in ["5", "0", "2", "1", "4", "3"]
    ]


def test_a_batch_keeps_to_the_budget(filled: Bucket) -> None:
    """By the sizes of the listing, what does not fit is asked for by further requests."""
    dataset = AISMapDataset(filled, max_inflight_bytes=2 * 100)
    assert dataset.__getitems__(range(10, COUNT)) == EXPECTED[10:]
    assert dataset.counters().requests == 3  # ten objects of ten bytes each
    limited = AISMapDataset(filled, max_batch=15)
    assert limited.__getitems__(range(10, COUNT)) == EXPECTED[10:]
    assert limited.counters().requests == 2


class Names(AISBaseMapDataset):
    """A user's dataset."""

    def __getitem__(self, index: int) -> str:
        return self.read(index)[1].decode()


class Upper(AISMapDataset):
    """A user's dataset, which adds to ours."""

    def __getitem__(self, index: int) -> tuple[str, bytes]:
        return upper(super().__getitem__(index))


def test_subclasses(filled: Bucket) -> None:
    """A subclass says what a sample is, by index and in a loader's batches."""
    expected = [content.decode() for _, content in EXPECTED[:4]]
    assert next(iter(DataLoader(Names(filled), batch_size=4, collate_fn=list))) == expected
    loader = DataLoader(Upper(filled), batch_size=4, collate_fn=list)
    assert next(iter(loader)) == [upper(pair) for pair in EXPECTED[:4]]
