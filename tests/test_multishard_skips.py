"""Streams with broken shards: nothing vanishes without a word, and what is whole stays paired."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISMultiShardStream, errors
from conftest import PutObject
from support.shard_streams import source
from support.tars import member, pack

ROWS, FILES = 3, 4


def file_of(number: int) -> bytes:
    """What a file holds."""
    return b"%d" % number


def put(bucket: Bucket, put_object: PutObject, broken: dict[str, bytes], *streams: str) -> None:
    """Put streams of three shards of four files; some of them are others."""
    for stream, row in itertools.product(streams, range(ROWS)):
        name = f"{stream}-{row}.tar"
        put_object(bucket, name, broken.get(name, content_of(row)))


def content_of(row: int) -> bytes:
    """What a shard holds that is whole."""
    numbers = range(FILES * row, FILES * (row + 1))
    return pack([member(f"{number:04d}.x", file_of(number)) for number in numbers])


def numbers_in(datasets: list[AISMultiShardStream]) -> list[int]:
    """Return the numbers of all tuples; the files of each are the same one."""
    found = []
    for files in itertools.chain.from_iterable(datasets):
        (number,) = set(files)
        found.append(int(number))
    return sorted(found)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("names", [["s"], ["s", "p"]], ids=["one stream", "two streams"])
def test_a_broken_shard_is_reported(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    names: list[str],
    world_size: int,
    shuffle: bool,
) -> None:
    """With ``"skip"`` it is named, counted and logged, whether files were counted or not."""
    broken = {f"{name}-1.tar": b"garbage" * 300 for name in names}
    put(ais_bucket, put_object, broken, *names)
    datasets = made(ais_bucket, names, world_size, shuffle, "skip")
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        assert numbers_in(datasets) == [*range(FILES), *range(2 * FILES, 3 * FILES)]
    urls = set(itertools.chain.from_iterable(one.skipped_urls() for one in datasets))
    assert urls
    assert urls <= {f"ais://{ais_bucket.name}/{name}" for name in broken}
    assert sum(one.counters().skipped for one in datasets) == len(urls)
    assert any("-1.tar" in message for message in caplog.messages)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("names", [["s"], ["s", "p"]], ids=["one stream", "two streams"])
def test_a_function_is_called_for_a_broken_shard(
    ais_bucket: Bucket, put_object: PutObject, names: list[str], world_size: int, shuffle: bool
) -> None:
    """Its content takes the place of the shard, in every stream and rank."""
    broken = {f"{name}-1.tar": b"garbage" * 300 for name in names}
    put(ais_bucket, put_object, broken, *names)
    asked: set[str] = set()

    def give(url: str, error: errors.AISPipeError) -> bytes:  # noqa: ARG001
        asked.add(url.rpartition("/")[2])
        return content_of(1)

    datasets = made(ais_bucket, names, world_size, shuffle, give)
    assert numbers_in(datasets) == list(range(ROWS * FILES))
    assert asked == set(broken)
    assert not any(one.skipped_urls() for one in datasets)


def test_a_last_shard_without_its_end_mark(ais_bucket: Bucket, put_object: PutObject) -> None:
    """All of its files are there: they come, in pairs, and the shard is named as skipped."""
    cut = {"p-2.tar": content_of(2)[:-1024]}
    put(ais_bucket, put_object, cut, "s", "p")
    (dataset,) = made(ais_bucket, ["s", "p"], 1, False, "skip")
    found = numbers_in([dataset])
    assert found == list(range(len(found)))
    assert len(found) >= ROWS * FILES - 1
    assert dataset.skipped_urls() == [f"ais://{ais_bucket.name}/p-2.tar"]


def made(
    bucket: Bucket, names: list[str], world_size: int, shuffle: bool, on_error: Any
) -> list[AISMultiShardStream]:
    """Return the datasets of all ranks."""
    return [
        AISMultiShardStream(
            [source(bucket, name) for name in names],
            rank=rank,
            world_size=world_size,
            uneven="keep",
            shuffle=shuffle,
            on_error=on_error,
        )
        for rank in range(world_size)
    ]
