"""Streams of shards side by side: the right files in each tuple, whatever reads them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.shard_streams import (
    Streams,
    Tuples,
    flat,
    listed_shards,
    loader_of,
    put_stream,
    source,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

ALIGNED = {"image": [4, 5, 1, 6], "mask": [4, 5, 1, 6]}
SHIFTED = {"image": [3, 5, 2, 6, 1], "mask": [4, 4, 0, 9]}
THREE = {"a": [3, 5, 0, 4], "b": [12], "c": [1, 2, 3, 4, 2]}
LAYOUTS = [ALIGNED, SHIFTED, THREE]

Sizes = dict[str, Sequence[int]]


@pytest.mark.parametrize("sizes", LAYOUTS)
def test_files_of_the_same_number(ais_bucket: Bucket, put_object: PutObject, sizes: Sizes) -> None:
    """One process: the n-th files of all streams, in order, epoch after epoch."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset()
    assert [found for found in dataset] == streams.tuples  # noqa: C416 - list() asks for len()
    assert list(dataset) == streams.tuples
    assert len(dataset) == len(streams.tuples)


def test_one_process_counts_nothing(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """It lists each stream once and asks for each shard once; nothing else."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset(faults.endpoint)
    assert [found for found in dataset] == streams.tuples  # noqa: C416
    assert listed_shards(faults, ais_bucket) == 2
    assert dataset.counters().objects == dataset.counters().requests == 9


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_of_all_kinds(ais_bucket: Bucket, put_object: PutObject, start: str) -> None:
    """They share the tuples: each comes once, with the files that belong together."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    loader = loader_of(streams.dataset(), 2, start)
    assert sorted(flat(loader)) == sorted(streams.tuples)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("sizes", LAYOUTS)
def test_any_number_of_workers(
    ais_bucket: Bucket, put_object: PutObject, sizes: Sizes, workers: int
) -> None:
    """Whatever the sizes of the shards, and in every epoch."""
    streams = Streams(ais_bucket, put_object, **sizes)
    loader = loader_of(streams.dataset(), workers)
    assert sorted(flat(loader)) == sorted(flat(loader)) == sorted(streams.tuples)


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_workers_count_once(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, start: str
) -> None:
    """Workers ask once how many files each shard has, in all of them and over epochs."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    loader = loader_of(streams.dataset(faults.endpoint), 2, start)
    assert sorted(flat(loader)) == sorted(flat(loader)) == sorted(streams.tuples)
    assert listed_shards(faults, ais_bucket) == 2 + 8


def test_aligned_shards_are_read_once(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Sharing costs no request for a shard beside the one that reads it."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    dataset = streams.dataset()
    assert sorted(flat(loader_of(dataset, 2))) == sorted(streams.tuples)
    assert dataset.counters().objects == dataset.counters().requests == 8


def test_a_long_shard_is_not_read_from_its_beginning_for_every_unit(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """Of a shard that belongs to many shards of the first stream, a worker reads on."""
    streams = Streams(ais_bucket, put_object, many=[2] * 8, one=[16])
    dataset = streams.dataset()
    assert sorted(flat(loader_of(dataset, 2))) == sorted(streams.tuples)
    assert dataset.counters().objects == 8 + 2


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffle(ais_bucket: Bucket, put_object: PutObject, workers: int) -> None:
    """Every epoch has an order of its own, the same for the same seed; tuples stay as they are."""
    streams = Streams(ais_bucket, put_object, image=[2] * 8, mask=[5, 6, 5])
    dataset, other = (streams.dataset(shuffle=True, seed=seed) for seed in (0, 1))
    epochs: list[Tuples] = []
    for epoch in range(3):
        dataset.set_epoch(epoch)
        epochs.append(flat(loader_of(dataset, workers)))
    assert [sorted(epoch) for epoch in epochs] == [sorted(streams.tuples)] * 3
    assert len(set(map(tuple, epochs))) == 3
    dataset.set_epoch(0)
    assert flat(loader_of(dataset, workers)) == epochs[0] != flat(loader_of(other, workers))


def test_streams_on_several_clusters(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """Each stream is read from the address of its own source, workers too."""
    image = put_stream(ais_bucket, put_object, "image", [3, 4])
    mask = put_stream(ais_bucket, put_object, "mask", [4, 3])
    sources = [source(ais_bucket, "image"), source(ais_bucket, "mask", faults.endpoint)]
    dataset = AISMultiShardStream(sources)
    assert sorted(flat(loader_of(dataset, 2, "forkserver"))) == sorted(
        zip(image, mask, strict=True)
    )
    assert faults.count("GET /v1/objects/.*image-") == 0 < faults.count("GET /v1/objects/.*mask-")


def test_an_etl_reaches_the_cluster(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Its name is in the request for the shards of its stream: this node has no ETLs."""
    put_stream(ais_bucket, put_object, "image", [2])
    sources = [source(ais_bucket, "image"), source(ais_bucket, "image", etl_name="blur")]
    with pytest.raises(errors.AISPipeError, match=r"(?i)etl"):
        next(iter(AISMultiShardStream(sources)))


def describe(found: tuple[bytes, ...]) -> str:
    """A transform that pickles."""
    return " ".join(str(len(content)) for content in found)


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "forkserver")])
def test_transform(
    ais_bucket: Bucket, put_object: PutObject, workers: int, start: str | None
) -> None:
    """It is called with the tuple, in the workers."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    got = flat(loader_of(streams.dataset(transform=describe), workers, start))
    assert sorted(got) == sorted(map(describe, streams.tuples))


def test_nothing_to_read(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """No source is an error, a bucket without shards is not; both streams have none."""
    with pytest.raises(ValueError, match="no streams to read"):
        AISMultiShardStream([])
    with pytest.raises(TypeError, match="not a Bucket"):
        AISMultiShardStream([ais_bucket])  # pyright: ignore[reportArgumentType]
    empty = DataShard(ais_cluster.endpoint, ais_bucket.name, prefix="none")
    assert list(AISMultiShardStream([empty, empty])) == []
