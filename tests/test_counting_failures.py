"""A cluster that fails while shards are counted: an error, and never an epoch that is too short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard

from aisdatapipes import AISMultiShardStream, AISShardReader, Manifest, Settings
from aisdatapipes.errors import AISPipeError
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from laws.counting import BusyCounting
from support.faults import FaultProxy
from support.tars import shard

BUSY = BusyCounting()
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


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("uneven", ["pad", "drop"])
def test_a_reader_that_cannot_count(
    bucket: Bucket, ais_cluster: LocalCluster, faults: FaultProxy, uneven: str, on_error: str
) -> None:
    """It raises when it is made, or counts once more later: unknown is never zero."""
    manifest = Manifest.build(f"ais://{bucket.name}/", client_url=ais_cluster.endpoint)
    options: dict[str, Any] = {"uneven": uneven, "on_error": on_error, "settings": HASTY}
    for rank in range(2):

        def make(rank: int = rank) -> AISShardReader:
            return AISShardReader(
                manifest=manifest, client_url=faults.endpoint, rank=rank, world_size=2, **options
            )

        with faults.rule(BUSY):
            reader = result_of(make)
        if reader is not AISPipeError:
            assert result_of(lambda reader=reader: len(list(reader))) in (AISPipeError, 10)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_streams_that_cannot_count(
    bucket: Bucket, faults: FaultProxy, world_size: int, on_error: Any
) -> None:
    """They raise while the cluster is busy, and are whole when it is not any more."""
    files: list[bytes] = []
    share = SHARDS * FILES // world_size
    for rank in range(world_size):

        def make(rank: int = rank) -> AISMultiShardStream:
            return AISMultiShardStream(
                [DataShard(faults.endpoint, bucket.name)],
                on_error=on_error,
                uneven="keep",
                rank=rank,
                world_size=world_size,
                settings=HASTY,
            )

        with faults.rule(BUSY):
            streams = result_of(make)
        if streams is AISPipeError:
            streams = make()
        with faults.rule(BUSY):
            assert result_of(lambda streams=streams: len(streams)) in (AISPipeError, share)
        assert len(streams) == share
        files += [content for (content,) in streams]
        assert streams.skipped_urls() == []
    assert len(set(files)) == len(files) == SHARDS * FILES
