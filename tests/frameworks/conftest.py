"""The bucket that all frameworks train from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from frameworks.front_ends import OBJECTS, SHARD_SIZES
from support.tars import shard


@pytest.fixture(scope="session")
def numbers(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[str]:
    """The URL of a bucket of `OBJECTS` objects and of as many shards as `SHARD_SIZES` says."""
    bucket = ais_cluster.client().bucket("frameworks").create()
    for number in range(OBJECTS):
        put_object(bucket, f"objects/{number:04d}", b"%d" % number)
    for index, size in enumerate(SHARD_SIZES):
        put_object(bucket, f"shards/{index}.tar", shard(sum(SHARD_SIZES[:index]), size))
    yield f"ais://{bucket.name}"
    bucket.delete()


@pytest.fixture(scope="session")
def endpoint(ais_cluster: LocalCluster) -> str:
    """The address of the cluster."""
    return ais_cluster.endpoint
