"""Objects asked of their targets: where the cluster map is right, and where it is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aistore.sdk import Bucket
from aistore.sdk.errors import ErrObjNotFound

from aisdatapipes import AISFileLoader, Settings
from aisdatapipes.client.connection import bucket_for
from aisdatapipes.reading.direct import request_target
from aisdatapipes.testing import LocalCluster
from aisdatapipes.urls import parse_url
from conftest import PutObject
from support.etls import Turned, start_etl, turned
from support.faults import FaultProxy
from support.processes import becomes

NAMES = [f"{number:02}" for number in range(20)]


@pytest.fixture(scope="module")
def two_targets(put_object: PutObject) -> Iterator[LocalCluster]:
    """A cluster of two targets with the objects `NAMES`, each of which holds its name."""
    with LocalCluster(2) as cluster:
        bucket = cluster.client().bucket("b").create()
        for name in NAMES:
            put_object(bucket, name, name.encode())
        yield cluster


def bucket_of(cluster: LocalCluster, **settings: int | str) -> Bucket:
    """The bucket, on a client with these settings."""
    return bucket_for(parse_url("ais://b"), cluster.endpoint, Settings(**settings))  # pyright: ignore[reportArgumentType]


def direct(bucket: Bucket, name: str) -> bytes | None:
    """What the target gives."""
    response = request_target(bucket, name, bucket.qparam)
    return response and response.read()


@pytest.mark.parametrize("name", ["a b", "%20", "a?b=c", "#", "ü/ö", "a;", "x&provider=aws"])
def test_any_name(ais_bucket: Bucket, put_object: PutObject, name: str) -> None:
    """It is the same object, whatever is in its name."""
    put_object(ais_bucket, name, b"this one")
    url, endpoint = f"ais://{ais_bucket.name}", ais_bucket.client.base_url.removesuffix("/v1")
    bucket = bucket_for(parse_url(url), endpoint, Settings())
    assert direct(bucket, name) == b"this one"


def test_the_target_follows_from_the_name(two_targets: LocalCluster) -> None:
    """Of two targets, each object is asked of the one that has it."""
    bucket = bucket_of(two_targets)
    assert [direct(bucket, name) for name in NAMES] == [name.encode() for name in NAMES]


def test_a_missing_object_is_missing(two_targets: LocalCluster) -> None:
    """Where the map is right, the target's answer is final."""
    with pytest.raises(ErrObjNotFound):
        direct(bucket_of(two_targets), "gone")


def test_a_token_stays_with_the_proxy(two_targets: LocalCluster) -> None:
    """With a token, nothing is asked of a target."""
    assert direct(bucket_of(two_targets, token="mine"), NAMES[0]) is None


def owner(bucket: Bucket, name: str) -> str:
    """The target that should have an object, by the map that the client has."""
    smap = bucket.client.get_smap()
    return smap.get_target_for_object(bucket.get_path() + name).daemon_id


def test_a_map_that_is_out_of_date(two_targets: LocalCluster) -> None:
    """Without an answer, or after a wrong one, the proxy is to be asked; then the map is new."""
    before = bucket_of(two_targets, max_retries=1)
    owners = {name: owner(before, name) for name in NAMES}
    two_targets.stop_target(1)
    after = bucket_of(two_targets, max_retries=2)
    assert becomes(lambda: len(after.client.get_smap(force_update=True).tmap) == 1)
    (stays,) = after.client.get_smap().tmap
    here = next(name for name in NAMES if owners[name] == stays)
    there = next(name for name in NAMES if owners[name] != stays)
    assert direct(before, there) is None  # nobody answers
    assert owner(before, there) == stays
    assert direct(before, here) == here.encode()
    two_targets.start_target(1)
    assert direct(after, "gone") is None  # who says no may be the wrong one
    assert len(after.client.get_smap().tmap) == 2
    assert [direct(after, name) for name in NAMES] == [name.encode() for name in NAMES]


def test_an_etl_is_asked_of_the_target(etl_cluster: LocalCluster, put_object: PutObject) -> None:
    """Reading through an ETL takes a single request for each object, and no redirect."""
    bucket = etl_cluster.client().bucket("direct").create()
    for name in NAMES:
        put_object(bucket, name, name.encode())
    etl = start_etl(etl_cluster, "turned-directly", Turned)
    with FaultProxy(etl_cluster.endpoint) as faults:
        urls = [f"ais://direct/{name}" for name in NAMES]
        pipe = AISFileLoader(urls, faults.endpoint, etl_name=etl)
        assert [file.read() for _, file in pipe] == [turned(name.encode()) for name in NAMES]
        assert pipe.counters().requests == len(NAMES)
        assert faults.count("GET /v1/objects/") == len(NAMES)
