"""Failures while shards are counted: of the cluster, an error; of a shard, said when it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream, AISSampleLoader, AISShardReader, Manifest, Settings
from aisdatapipes.errors import AISPipeError, BadArchiveError
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Cut, Reset, Rule, Status
from support.faults import FaultProxy
from support.tars import member, pack, shard

BUSY = Status(times=None, matches="GET /v1/(buckets|objects)/", code=503)
FAULTS: dict[str, Rule] = {
    "busy": BUSY,
    "cut": Cut(0, times=None, matches="GET /v1/objects/"),
    "cut later": Cut(700, times=None, matches="GET /v1/objects/"),
    "reset": Reset(700, times=None, matches="GET /v1/objects/"),
    "no answer": Cut(times=None, matches="GET /v1/objects/"),
}
HASTY = Settings(max_retries=1, first_backoff_s=0.001, retry_deadline_s=1.0)
SHARDS, SAMPLES, FILES = 4, 5, 10


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Four shards."""
    for number in range(SHARDS):
        put_object(ais_bucket, f"{number}.tar", shard(100 * number, SAMPLES))
    return ais_bucket


def result_of(action: Callable[[], Any]) -> Any:
    """Return what an action returns, or `AISPipeError` if it raises one."""
    try:
        return action()
    except AISPipeError:
        return AISPipeError


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("uneven", ["pad", "drop"])
def test_a_reader_that_cannot_count(
    bucket: Bucket,
    ais_cluster: LocalCluster,
    faults: FaultProxy,
    uneven: str,
    on_error: str,
    fault: str,
) -> None:
    """It raises when it is made: unknown is never zero, nor as much as came before a cut.

    Of connections that break later every one brings some more, so the count may come too.
    """
    manifest = Manifest.build(f"ais://{bucket.name}/", client_url=ais_cluster.endpoint)
    options: dict[str, Any] = {"uneven": uneven, "on_error": on_error, "settings": HASTY}
    for rank in range(2):

        def make(rank: int = rank) -> AISShardReader:
            return AISShardReader(
                manifest=manifest, client_url=faults.endpoint, rank=rank, world_size=2, **options
            )

        with faults.rule(FAULTS[fault]) as rule:
            made = result_of(make)
            assert faults.hits(rule)
        assert made is AISPipeError or fault in ("cut later", "reset")
        readers: list[Any] = [made, make()]
        for reader in readers:
            assert reader is AISPipeError or len(list(reader)) == 10


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_streams_that_cannot_count(
    bucket: Bucket, faults: FaultProxy, world_size: int, on_error: str
) -> None:
    """``len`` raises while the cluster is busy, and is right when it is not any more."""
    files: list[bytes] = []
    for rank in range(world_size):
        streams = AISMultiShardStream(
            [DataShard(faults.endpoint, bucket.name)],
            on_error=on_error,  # pyright: ignore[reportArgumentType]
            uneven="keep",
            rank=rank,
            world_size=world_size,
            settings=HASTY,
        )
        share = SHARDS * FILES // world_size
        with faults.rule(BUSY):
            assert result_of(lambda streams=streams: len(streams)) in (AISPipeError, share)
        assert len(streams) == share
        files += [content for (content,) in streams]
        assert streams.skipped_urls() == []
    assert len(set(files)) == len(files) == SHARDS * FILES


def zipped(content: bytes) -> bytes:
    """Return a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", content)
    return file.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),
    "zip": zipped,
}


@pytest.mark.parametrize("is_big", [False, True], ids=["small", "big"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_shards_of_another_format(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    is_big: bool,
) -> None:
    """Who reads one says once which format it is; who only counts it says nothing."""
    content = Random(kind).randbytes(2 * 2**20 if is_big else 1000)
    put_object(ais_bucket, "0.tar", COMPRESSED[kind](content))
    put_object(ais_bucket, "1.tar", shard(0, SAMPLES))

    def reader(rank: int, **options: Any) -> AISShardReader:
        return AISShardReader(ais_bucket, rank=rank, world_size=2, **options)

    with pytest.raises(BadArchiveError, match=rf"0\.tar is no tar.* compressed by {kind}, which"):
        list(reader(0))
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="aisdatapipes"):
        assert len(list(reader(1, on_error="skip"))) == SAMPLES
        assert not caplog.messages
        assert len(list(reader(0, on_error="skip"))) == SAMPLES
    assert len([text for text in caplog.messages if f"compressed by {kind}" in text]) == 1


def bomb(url: str, error: AISPipeError) -> bytes:  # noqa: ARG001
    """Have a compressed shard in place of any other."""
    return gzip.compress(pack([member("a.jpg", bytes(2000))]))


@pytest.mark.parametrize("is_missing", [False, True])
def test_the_limit_of_members_holds_for_all_readers(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, is_missing: bool
) -> None:
    """Also in what an ``on_error`` function gives; and counting finds as little as reading does."""
    url = f"ais://{ais_bucket.name}/0.tar"
    put_object(ais_bucket, "0.tar", bomb("", AISPipeError("")))
    source = DataShard(ais_cluster.endpoint, ais_bucket.name)

    def samples(settings: Settings) -> list[Iterable[Any]]:
        """Return what reads the shard, in every way; only the first two replace it."""
        options: dict[str, Any] = {"on_error": bomb, "settings": settings}
        manifest = Manifest.from_urls([url])
        return [
            AISSampleLoader([url], ais_cluster.endpoint, **options),
            AISShardReader(manifest=manifest, client_url=ais_cluster.endpoint, **options),
            AISMultiShardStream([source], settings=settings),
        ]

    low, high = samples(Settings(max_member_bytes=1999)), samples(Settings(max_member_bytes=2000))
    if is_missing:
        ais_bucket.object("0.tar").delete()
    for one in low[:2] if is_missing else low:
        with pytest.raises(BadArchiveError, match=r"'a\.jpg'.* 2,000 bytes, more than the 1,999"):
            list(iter(one))
    assert len(low[1]) == 0  # pyright: ignore[reportArgumentType]
    assert len(high[1]) == 1  # pyright: ignore[reportArgumentType]
    for one in high[:2] if is_missing else high:
        assert len(list(iter(one))) == 1
