"""Options by name: single or in groups, and an error for those that nobody knows."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

import aisdatapipes
from aisdatapipes import (
    AISBaseIterDataset,
    AISDataset,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISMultiShardStream,
    AISShardReader,
    ReadOptions,
    Sharding,
)
from conftest import PutObject
from support.pairs import Pair, fill
from support.tars import shard

MOST_PARAMETERS = 12
COUNT = 23


def classes() -> list[type]:
    """Return the public classes whose signature is written by hand, and not that of a group."""
    public = [getattr(aisdatapipes, name) for name in aisdatapipes.__all__]
    return [one for one in public if isinstance(one, type) and not dataclasses.is_dataclass(one)]


def multi_shard_stream(url: str, **options: Any) -> AISMultiShardStream:
    """Return one of a single stream."""
    return AISMultiShardStream([DataShard(url, "b")], **options)


@pytest.mark.parametrize("one", classes())
def test_constructors_are_short(one: type) -> None:
    """None declares more parameters than can be read at once; the rest is in groups."""
    assert len(inspect.signature(one).parameters) <= MOST_PARAMETERS


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (AISIterDataset, "etl, loader_batch_size, max_batch, max_errors"),
        (AISBaseIterDataset, "read, settings, sharding, uneven, verify, world_size"),
        (AISMapDataset, "read, settings, verify"),
        (AISDataset, "read, settings, verify"),
        (AISShardReader, "on_error, rank, settings, sharding, uneven, world_size"),
        (multi_shard_stream, "rank, sharding, uneven, world_size"),
        (lambda url, **options: AISFileLoader([url], **options), "read, verify"),
    ],
)
@pytest.mark.parametrize("wrong", ["shufle", "concurency"])
def test_an_unknown_keyword_is_a_type_error(
    unused_endpoint: str, make: Callable[..., Any], known: str, wrong: str
) -> None:
    """It is named, with those that there are, before anything is asked of a cluster."""
    with pytest.raises(TypeError, match=f"got an unexpected keyword argument {wrong!r}: it takes "):
        make(unused_endpoint, **{wrong: True})
    with pytest.raises(TypeError) as caught:
        make(unused_endpoint, **{wrong: 1, "on_eror": "skip"})
    assert all(name in str(caught.value) for name in known.split(", "))


@pytest.mark.parametrize("uneven", ["loader_batch_size", "max_batch", "verify"])
def test_shards_take_no_options_of_objects(unused_endpoint: str, uneven: str) -> None:
    """What has no meaning for them is not left out in silence."""
    with pytest.raises(TypeError, match=f"AISShardReader got an unexpected .* {uneven!r}"):
        AISShardReader(client_url=unused_endpoint, urls_list="ais://b/", **{uneven: 1})  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.fixture
def pairs(ais_bucket: Bucket, put_object: PutObject) -> list[Pair]:
    """What is in the bucket."""
    return fill(ais_bucket, put_object, COUNT)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    "flat",
    [
        {"rank": 1, "world_size": 3},
        {"rank": 2, "world_size": 3, "uneven": "drop", "loader_batch_size": 4},
        {"rank": 0, "world_size": 2, "uneven": "keep"},
    ],
)
def test_a_group_is_the_same_as_its_fields(ais_bucket: Bucket, flat: dict[str, Any]) -> None:
    """Datasets of both give the same and say the same; a single field goes before the group."""
    single = AISIterDataset(ais_bucket, **flat)
    grouped = AISIterDataset(ais_bucket, sharding=Sharding(**flat))
    other = AISIterDataset(ais_bucket, sharding=Sharding(rank=0, world_size=9), **flat)
    read = list(single)
    assert list(grouped) == list(other) == read
    assert len(grouped) == len(other) == len(read) > 0
    assert grouped.state_dict() == other.state_dict() == single.state_dict()


def test_reading_options_as_a_group(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """As fields or together, they say how many objects a request has."""
    ways: list[dict[str, Any]] = [
        {"max_batch": 5},
        {"read": ReadOptions(max_batch=5)},
        {"read": ReadOptions(max_batch=20), "max_batch": 5},
    ]
    for options in ways:
        dataset = AISMapDataset(ais_bucket, **options)
        assert dataset.__getitems__(range(COUNT)) == pairs
        assert dataset.counters().requests == 5


@pytest.mark.parametrize("make", [AISIterDataset, AISMapDataset])
def test_a_dataset_keeps_its_order(make: type) -> None:
    """A group that says otherwise is refused: there would be no right state."""
    with pytest.raises(ValueError, match="ordered is False, but a dataset keeps its order"):
        make(urls_list="ais://b/", client_url="localhost:1", read=ReadOptions(ordered=False))


def test_shards_take_the_group_too(ais_bucket: Bucket, put_object: PutObject) -> None:
    """The ranks of a shard reader and of streams are those of the group."""
    for number in range(4):
        put_object(ais_bucket, f"{number}.tar", shard(3 * number, 3))
    stream = DataShard(ais_bucket.client.base_url.removesuffix("/v1"), ais_bucket.name)
    for rank in range(2):
        flat: dict[str, Any] = {"rank": rank, "world_size": 2, "uneven": "keep"}
        sharding = Sharding(**flat)
        samples = [key for key, _ in AISShardReader(ais_bucket, sharding=sharding)]
        assert samples == [key for key, _ in AISShardReader(ais_bucket, **flat)]
        assert len(samples) == 6
        tuples = list(AISMultiShardStream([stream], sharding=sharding))
        assert tuples == list(AISMultiShardStream([stream], **flat))
        assert len(tuples) == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 1},
        {"world_size": 2},
        {"rank": 2, "world_size": 2},
        {"uneven": "share"},
        {"loader_batch_size": 0},
    ],
)
def test_a_wrong_group_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    """And so are its fields, one by one."""
    value = str(next(iter(wrong.values())))
    with pytest.raises(ValueError, match=value):
        Sharding(**wrong)
    with pytest.raises(ValueError, match=value):
        AISIterDataset(urls_list="ais://b/", client_url="localhost:1", **wrong)


def test_whole_shards_go_to_workers(ais_bucket: Bucket) -> None:
    """How many objects in a row go to one means nothing there, and is refused."""
    with pytest.raises(ValueError, match="loader_batch_size is 4: workers get whole shards"):
        AISShardReader(ais_bucket, allow_empty=True, sharding=Sharding(loader_batch_size=4))
