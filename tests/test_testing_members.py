"""A local cluster on a bad day: nodes that stop, stand still, come back, and new ones that join."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from aistore.sdk import Bucket

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.processes import becomes, is_alive

NAMES = [f"d/{number}" for number in range(20)]


def read(bucket: Bucket, name: str) -> bytes:
    """Return the object's content, as the SDK reads it."""
    content = bucket.object(name).get_reader().read_all()
    assert isinstance(content, bytes)
    return content


def members(endpoint: str, kind: str) -> set[str]:
    """Return the addresses of the proxies or targets that a node knows."""
    with urlopen(f"{endpoint}/v1/daemon?what=smap", timeout=10) as answer:
        nodes = json.load(answer)[kind].values()
    return {node["public_net"]["direct_url"] for node in nodes}


def is_silent(node: str) -> bool:
    """Whether a node takes a request and does not answer within half a second."""
    try:
        with urlopen(f"{node}/v1/health", timeout=0.5):
            return False
    except (TimeoutError, URLError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        assert isinstance(reason, TimeoutError), reason
        return True


@pytest.fixture(scope="module")
def pair() -> Iterator[LocalCluster]:
    """A cluster of two proxies and two targets, in which a bucket ``b`` has some objects."""
    with LocalCluster(targets=2, proxies=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def filled(pair: LocalCluster, put_object: PutObject) -> Bucket:
    """A bucket with objects that hold their own names."""
    bucket = pair.client().bucket("b").create()
    for name in NAMES:
        put_object(bucket, name, name.encode())
    return bucket


@pytest.mark.usefixtures("filled")
def test_every_proxy_serves_everything(pair: LocalCluster) -> None:
    """All proxies are in the map of each, and the first is the primary."""
    assert pair.endpoints[0] == pair.endpoint
    assert pair.primary == 0
    for endpoint in pair.endpoints:
        assert members(endpoint, "pmap") == set(pair.endpoints)
        with urlopen(f"{endpoint}/v1/objects/b/{NAMES[0]}", timeout=10) as answer:
            assert answer.read() == NAMES[0].encode()


def test_a_paused_node_keeps_silent_until_it_goes_on(pair: LocalCluster, filled: Bucket) -> None:
    """It takes connections and answers nothing; then it goes on with all that it had."""
    nodes = [pair.target_endpoints[0], pair.endpoints[1]]
    pair.pause_target(0)
    pair.pause_proxy(1)
    assert [is_silent(node) for node in nodes] == [True, True]
    pair.resume_target(0)
    pair.resume_proxy(1)
    assert [is_silent(node) for node in nodes] == [False, False]
    assert [read(filled, name) for name in NAMES] == [name.encode() for name in NAMES]


def test_a_paused_node_can_be_ended_in_good_order(pair: LocalCluster, filled: Bucket) -> None:
    """It wakes up to leave the cluster, at once, and comes back with its data."""
    pair.pause_target(0)
    begin = time.monotonic()
    pair.stop_target(0)
    assert time.monotonic() - begin < 5
    assert members(pair.endpoint, "tmap") == {pair.target_endpoints[1]}
    pair.start_target(0)
    assert [read(filled, name) for name in NAMES] == [name.encode() for name in NAMES]


@pytest.mark.parametrize("kill", [False, True])
def test_a_secondary_comes_back(pair: LocalCluster, kill: bool) -> None:
    """A proxy that was stopped is gone, and is in everybody's map when it was started again."""
    before = pair.pids
    pair.stop_proxy(1, kill=kill)
    assert not any(is_alive(pid) for pid in set(before) - set(pair.pids))
    pair.start_proxy(1)
    for endpoint in pair.endpoints:
        assert members(endpoint, "pmap") == set(pair.endpoints)
    with pytest.raises(RuntimeError, match=r"proxy1 at .* runs already"):
        pair.start_proxy(1)


def test_another_target_joins(pair: LocalCluster) -> None:
    """It has the next number, and is stopped and started as the others are."""
    count = len(pair.target_endpoints)
    assert pair.add_target() == count
    assert members(pair.endpoint, "tmap") == set(pair.target_endpoints)
    assert len(pair.target_endpoints) == count + 1
    pair.stop_target(count)
    assert members(pair.endpoint, "tmap") == set(pair.target_endpoints[:count])
    pair.start_target(count)
    with pytest.raises(IndexError, match=f"no target {count + 1}; the local cluster has"):
        pair.pause_target(count + 1)


@pytest.mark.usefixtures("filled")
def test_a_restarted_cluster_has_its_objects_and_addresses(pair: LocalCluster) -> None:
    """All processes are new, everything else is as it was, moments later."""
    before, addresses = pair.pids, [*pair.endpoints, *pair.target_endpoints]
    pair.restart(kill=True)
    assert not any(is_alive(pid) for pid in before)
    assert [*pair.endpoints, *pair.target_endpoints] == addresses
    assert members(pair.endpoint, "pmap") == set(pair.endpoints)
    assert becomes(lambda: holds(pair, NAMES))


def holds(cluster: LocalCluster, names: list[str]) -> bool:
    """Whether all objects of the bucket ``b`` are found right now."""
    try:
        for name in names:
            with urlopen(f"{cluster.endpoint}/v1/objects/b/{name}", timeout=10) as answer:
                assert answer.read() == name.encode()
    except URLError:
        return False
    return True


def test_the_secondary_takes_over_and_the_old_primary_joins_it(pair: LocalCluster) -> None:
    """The primary's death makes the other one the primary; the dead one is secondary then."""
    pair.stop_proxy(0, kill=True)
    assert becomes(lambda: pair.primary == 1)
    pair.start_proxy(0)
    assert pair.primary == 1
    for endpoint in pair.endpoints:
        assert members(endpoint, "pmap") == set(pair.endpoints)


def test_a_primary_that_is_back_at_once_is_the_primary(pair: LocalCluster) -> None:
    """Nobody has chosen another one yet."""
    known = pair.primary
    pair.stop_proxy(known, kill=True)
    pair.start_proxy(known)
    assert pair.primary == known


def test_an_erasure_coded_bucket_outlives_a_target(put_object: PutObject) -> None:
    """With one target gone for good, every object is still read."""
    with LocalCluster(targets=3) as cluster:
        bucket = cluster.erasure_coded("b")
        for name in NAMES:
            put_object(bucket, name, name.encode())
        time.sleep(1)  # a PUT does not wait for the coding
        cluster.stop_target(2)
        assert becomes(lambda: holds(cluster, NAMES))
