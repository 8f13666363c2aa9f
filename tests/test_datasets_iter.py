"""Iterable datasets: every object once, whatever reads it."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISBaseIterDataset, AISIterDataset, Manifest, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.jobs import run_ranks
from support.pairs import Pair, fill, flat

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

COUNT = 23
# A spawned worker imports torch, which takes seconds of a core.
MATRIX = [(0, None), (2, "fork"), (2, "forkserver"), (4, "fork"), (1, "spawn")]


@pytest.fixture
def pairs(ais_bucket: Bucket, put_object: PutObject) -> list[Pair]:
    """What is in the bucket."""
    return fill(ais_bucket, put_object, COUNT)


def dataset_of(bucket: Bucket, **options: Any) -> AISIterDataset:
    """All of it, by URL."""
    return AISIterDataset(
        client_url=bucket.client.base_url.removesuffix("/v1"),
        urls_list=f"ais://{bucket.name}/",
        **options,
    )


def loader_of(dataset: AISBaseIterDataset, workers: int, start: str | None, **options: Any):
    """Return torch's loader, in batches of four."""
    return DataLoader(
        dataset,
        batch_size=4,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context=start,
        **options,
    )


@pytest.mark.usefixtures("pairs")
def test_a_bucket_as_source_of_the_sdk(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """As the seeds write it: sources first, names and contents in their order, again and again."""
    dataset = AISIterDataset(ais_bucket)
    assert list(dataset) == list(dataset) == pairs
    assert len(dataset) == COUNT


def test_sources_and_urls_are_one_dataset(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """URLs first, then sources by their prefixes, each object once."""
    group = ais_bucket.objects(obj_names=["0003", "0021"])
    dataset = AISIterDataset(
        [ais_bucket, group], {ais_bucket: ["001", "0010"]}, urls_list=f"ais://{ais_bucket.name}/000"
    )
    assert list(dataset) == [*pairs[:20], pairs[21]]


@pytest.mark.parametrize(("workers", "start"), MATRIX)
def test_each_object_comes_once(
    ais_bucket: Bucket, pairs: list[Pair], workers: int, start: str | None
) -> None:
    """Workers share the objects; batches, in any number of them, are those of one process."""
    dataset = dataset_of(ais_bucket, shuffle=True, loader_batch_size=4)
    loader = loader_of(dataset, workers, start)
    batches = list(loader)
    dataset.set_epoch(0)
    alone = list(dataset)
    assert sorted(alone) == pairs
    assert flat(batches) == alone
    assert len(loader) == len(batches)


def test_epochs_of_persistent_workers(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """`set_epoch` in the main process gives workers that stay another order."""
    dataset = dataset_of(ais_bucket, shuffle=True, seed=5)
    loader = loader_of(dataset, 2, "forkserver", persistent_workers=True)
    epochs = []
    for epoch in range(3):
        dataset.set_epoch(epoch)
        epochs.append(flat(loader))
    assert [sorted(epoch) for epoch in epochs] == [pairs] * 3
    assert len(set(map(tuple, epochs))) == 3


def read_in_rank(dataset: AISIterDataset, workers: int, start: str | None) -> list[list[Pair]]:
    """The batches of a rank, of a dataset that the launcher made before there were ranks."""
    return list(loader_of(dataset, workers, start))


@pytest.mark.parametrize(("workers", "start"), MATRIX[:3])
def test_a_dataset_made_before_the_group_is_right(
    ais_bucket: Bucket, pairs: list[Pair], workers: int, start: str | None
) -> None:
    """Two ranks share it without overlap and make equally many steps, in workers of all kinds."""
    one, two = run_ranks(2, read_in_rank, dataset_of(ais_bucket), workers, start)
    assert len(one) == len(two)
    # 23 objects for two ranks: one comes in both.
    assert sorted(flat(one) + flat(two)) == sorted([*pairs, pairs[0]])


def shared_dataset(url: str, name: str) -> tuple[list[Pair], str]:
    """Make the dataset inside the group."""
    dataset = AISIterDataset(client_url=url, urls_list=f"ais://{name}/", uneven="drop")
    return list(dataset), dataset.manifest.fingerprint


def test_ranks_share_one_listing(
    ais_bucket: Bucket, ais_cluster: LocalCluster, pairs: list[Pair]
) -> None:
    """In a group the manifests are equal; with "drop" the last object of 23 is left out."""
    (one, first), (two, second) = run_ranks(
        2, shared_dataset, ais_cluster.endpoint, ais_bucket.name
    )
    assert first == second
    assert (one, two) == (pairs[:22:2], pairs[1:22:2])


@pytest.mark.parametrize("uneven", ["pad", "keep"])
def test_explicit_ranks(ais_bucket: Bucket, pairs: list[Pair], uneven: Any) -> None:
    """Rank and world size may be said; the length is that of the rank."""
    ranks = [dataset_of(ais_bucket, rank=rank, world_size=4, uneven=uneven) for rank in range(4)]
    read = [list(dataset) for dataset in ranks]
    assert [len(dataset) for dataset in ranks] == list(map(len, read))
    padding = [pairs[0]] if uneven == "pad" else []
    assert sorted(itertools.chain(*read)) == sorted([*pairs, *padding])


def upper(pair: Pair) -> str:
    """A transform that pickles."""
    return f"{pair[0]} has {len(pair[1])} bytes"


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "forkserver")])
def test_transform(ais_bucket: Bucket, pairs: list[Pair], workers: int, start: str | None) -> None:
    """It is called in the workers, with name and content."""
    dataset = dataset_of(ais_bucket, transform=upper)
    assert sorted(flat(loader_of(dataset, workers, start))) == list(map(upper, pairs))


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_objects(
    ais_bucket: Bucket, pairs: list[Pair], caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    """Objects that vanished since the listing are left out, counted and named."""
    dataset = dataset_of(ais_bucket, on_error="skip")
    gone = [pairs[0], pairs[7], pairs[22]]
    for name, _ in gone:
        ais_bucket.object(name).delete()
    with caplog.at_level(logging.ERROR, "aisdatapipes"):
        got = flat(loader_of(dataset, workers, "fork" if workers else None))
    assert sorted(got) == [pair for pair in pairs if pair not in gone]
    assert sorted(dataset.skipped_urls()) == [f"ais://{ais_bucket.name}/{name}" for name, _ in gone]
    counters = dataset.counters()
    assert (counters.objects, counters.skipped) == (COUNT - 3, 3)


def test_errors_are_raised_by_default(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """What comes before the object is yielded."""
    dataset = dataset_of(ais_bucket)
    ais_bucket.object(pairs[7][0]).delete()
    iterator = iter(dataset)
    assert list(itertools.islice(iterator, 7)) == pairs[:7]
    with pytest.raises(errors.ObjectNotFoundError, match="no object '0007'"):
        next(iterator)


def test_a_saved_manifest_reads_without_listing(
    ais_bucket: Bucket, pairs: list[Pair], tmp_path, faults
) -> None:
    """A dataset of a saved manifest asks for no listing and has the same objects."""
    dataset_of(ais_bucket).manifest.save(tmp_path / "manifest")
    dataset = AISIterDataset(
        manifest=Manifest.load(tmp_path / "manifest"), client_url=faults.endpoint
    )
    assert list(dataset) == pairs
    assert faults.count(f"GET /v1/buckets/{ais_bucket.name}") == 0


def test_one_listing_for_all_workers_and_epochs(
    ais_bucket: Bucket, pairs: list[Pair], faults
) -> None:
    """Four workers in three epochs cause one listing."""
    dataset = AISIterDataset(client_url=faults.endpoint, urls_list=f"ais://{ais_bucket.name}/")
    loader = loader_of(dataset, 4, "fork")
    assert [sorted(flat(loader)) for _ in range(3)] == [pairs] * 3
    assert faults.count(f"GET /v1/buckets/{ais_bucket.name}") == 1


@pytest.mark.parametrize("wrong", [{"uneven": "share"}, {"loader_batch_size": 0}, {"rank": 1}])
def test_nonsense_is_refused(wrong: dict) -> None:
    """Before anything is listed."""
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        AISIterDataset(urls_list="ais://b/", client_url="localhost:1", **wrong)


def test_progress(
    ais_bucket: Bucket, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """On a terminal a bar counts what is read, and nothing is changed."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(dataset_of(ais_bucket, show_progress=True)) == pairs
    assert "AISIterDataset: 100%|" in capsys.readouterr().err
