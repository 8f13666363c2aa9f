"""Streams of shards side by side: the right files in each tuple, whatever reads them."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.processes import becomes
from support.shard_streams import Streams, Tuples, flat, loader_of, put_stream, source

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

ROWS = {"image": [4, 5, 0, 1, 6], "mask": [4, 5, 0, 1, 6]}
# Packed in other ways: rows do not exist, but each stream has as many files.
SHIFTED = {"image": [3, 5, 2, 6, 1], "mask": [4, 4, 0, 9]}
THREE = {"a": [3, 5, 0, 4], "b": [12], "c": [1, 2, 3, 4, 2, 0]}

Sizes = dict[str, Sequence[int]]


@pytest.mark.parametrize("sizes", [ROWS, SHIFTED, THREE])
def test_one_process_pairs_files_of_the_same_number(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, sizes: Sizes
) -> None:
    """In order, epoch after epoch; it lists each stream and asks for each shard, nothing else."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset(faults.endpoint)
    for _ in range(2):
        assert [found for found in dataset] == streams.tuples  # noqa: C416 - list() asks for len()
    assert faults.count("GET /v1/buckets/") == len(sizes)
    shards = 2 * sum(map(len, sizes.values()))
    assert dataset.counters().objects == dataset.counters().requests == shards
    assert len(dataset) == len(streams.tuples)


@pytest.mark.parametrize(
    ("workers", "start"), [(1, "spawn"), (2, "fork"), (3, "fork"), (2, "forkserver")]
)
def test_workers_share_rows(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, workers: int, start: str
) -> None:
    """Each tuple comes once, in every epoch; shards are asked for once, and never counted."""
    streams = Streams(ais_bucket, put_object, **ROWS)
    dataset = streams.dataset(faults.endpoint)
    loader = loader_of(dataset, workers, start)
    for _ in range(2):
        batches = [batch for batch in loader]  # noqa: C416
        assert sorted(flat(batches)) == sorted(streams.tuples)
    assert faults.count("GET /v1/buckets/") == 2
    assert dataset.counters().objects == dataset.counters().requests == 2 * 10


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffle(ais_bucket: Bucket, put_object: PutObject, workers: int) -> None:
    """Every epoch has an order of its own, the same for the same seed; tuples stay as they are."""
    streams = Streams(ais_bucket, put_object, image=[2] * 8, mask=[2] * 8)
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
    image, mask = (put_stream(ais_bucket, put_object, name, [3, 4]) for name in ("image", "mask"))
    sources = [source(ais_bucket, "image"), source(ais_bucket, "mask", faults.endpoint)]
    loader = loader_of(AISMultiShardStream(sources), 2, "forkserver")
    assert sorted(flat(loader)) == sorted(zip(image, mask, strict=True))
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
    streams = Streams(ais_bucket, put_object, **ROWS)
    got = flat(loader_of(streams.dataset(transform=describe), workers, start))
    assert sorted(got) == sorted(map(describe, streams.tuples))


@pytest.mark.filterwarnings("ignore:no objects in")  # a stream without a shard
def test_nothing_to_read(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """No source is an error, a bucket without shards is not."""
    with pytest.raises(ValueError, match="no streams to read"):
        AISMultiShardStream([])
    with pytest.raises(TypeError, match="not a Bucket"):
        AISMultiShardStream([ais_bucket])  # pyright: ignore[reportArgumentType]
    empty = DataShard(ais_cluster.endpoint, ais_bucket.name, prefix="none")
    assert list(AISMultiShardStream([empty, empty])) == []


@pytest.mark.parametrize("sizes", [{n: [2, 3] for n in "abcd"}, {"a": [5], "b": [2, 3], "c": [5]}])
def test_seconds_are_those_of_the_clock(
    ais_bucket: Bucket, put_object: PutObject, sizes: Sizes
) -> None:
    """However many streams there are; the consumer of the last row counts as all others."""
    dataset = Streams(ais_bucket, put_object, **sizes).dataset()
    begin = time.perf_counter()
    for _ in dataset:
        time.sleep(0.05)
    passed = time.perf_counter() - begin
    counters = dataset.counters()
    assert 5 * 0.05 <= counters.consumer_s <= counters.consumer_s + counters.cluster_s <= passed


def sockets() -> int:
    """Return how many connections this process has open."""
    return sum(one.resolve().name.startswith("socket:") for one in Path("/dev/fd").iterdir())


@pytest.mark.parametrize("sizes", [{"a": [9] * 6, "b": [9] * 6}, {"a": [9] * 6, "b": [27, 27]}])
def test_an_iterator_that_is_dropped_closes_what_it_has_open(
    ais_bucket: Bucket, put_object: PutObject, sizes: Sizes
) -> None:
    """In mid-row, at once and without the garbage collector: shards at hand and those ahead."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset(settings=Settings(whole_object_bytes=0))
    gc.collect()
    gc.disable()
    try:
        before = sockets()
        iterators: list[Any] = [iter(dataset) for _ in range(3)]
        assert [list(islice(one, 4)) for one in iterators] == [streams.tuples[:4]] * 3
        during = sockets()
        del iterators
        assert becomes(lambda: sockets() < during, 5)
    finally:
        gc.enable()
    assert before <= during
