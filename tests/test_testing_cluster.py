"""A real local cluster: what it serves, and how its nodes start, stop and start again."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from aistore.sdk import Bucket

from aisdatapipes.testing import ClusterStartError, LocalCluster
from aisdatapipes.testing.binary import find_aisnode
from conftest import PutObject
from support.processes import is_alive

NAMES = [f"d/{number}" for number in range(20)]


def read(bucket: Bucket, name: str) -> bytes:
    """Return the object's content, as the SDK reads it."""
    content = bucket.object(name).get_reader().read_all()
    assert isinstance(content, bytes)
    return content


def ask(endpoint: str, what: str) -> dict[str, dict[str, object]]:
    """Return one of the things that a node knows."""
    with urlopen(f"{endpoint}/v1/daemon?what={what}", timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def trio() -> Iterator[LocalCluster]:
    """A cluster of three targets."""
    with LocalCluster(targets=3) as cluster:
        yield cluster


@pytest.fixture
def filled(trio: LocalCluster, put_object: PutObject) -> Iterator[Bucket]:
    """A bucket on `trio` with objects that hold their own names."""
    bucket = trio.client().bucket("filled").create()
    for name in NAMES:
        put_object(bucket, name, name.encode())
    yield bucket
    bucket.delete()


def test_it_serves_objects(ais_cluster: LocalCluster, ais_bucket: Bucket) -> None:
    """The endpoint is on the loopback, and the client writes and reads there."""
    assert ais_cluster.endpoint.startswith("http://127.0.0.1:")
    ais_bucket.object("a b").get_writer().put_content(b"hello")
    assert read(ais_bucket, "a b") == b"hello"


def test_all_targets_are_in_the_map_when_it_starts(trio: LocalCluster) -> None:
    """A cluster that has started has one proxy and all its targets, each with a keeper."""
    members = ask(trio.endpoint, "smap")
    assert len(members["pmap"]) == 1
    assert len(members["tmap"]) == 3
    assert len(set(trio.pids)) == 8
    assert all(is_alive(pid) for pid in trio.pids)


@pytest.mark.parametrize("kill", [False, True])
def test_a_target_comes_back_with_its_data(trio: LocalCluster, filled: Bucket, kill: bool) -> None:
    """After a stop in good order or by force, a started target serves what it had."""
    before = trio.pids
    trio.stop_target(1, kill=kill)
    gone = set(before) - set(trio.pids)
    assert len(gone) == 2
    assert not any(is_alive(pid) for pid in gone)
    trio.start_target(1)
    assert len(trio.pids) == len(before)
    assert [read(filled, name) for name in NAMES] == [name.encode() for name in NAMES]


def test_a_stopped_target_leaves_the_map(trio: LocalCluster) -> None:
    """A target that stops in good order is no member any more; stopping it again is nothing."""
    trio.stop_target(2)
    trio.stop_target(2)
    assert len(ask(trio.endpoint, "smap")["tmap"]) == 2
    trio.start_target(2)
    assert len(ask(trio.endpoint, "smap")["tmap"]) == 3


def test_starting_what_runs_is_refused(trio: LocalCluster) -> None:
    """Neither the cluster nor a target is started twice."""
    with pytest.raises(RuntimeError, match=r"target0 at .* runs already"):
        trio.start_target(0)
    with pytest.raises(RuntimeError, match=f"{trio.endpoint} runs already"):
        trio.start()


def test_only_its_own_targets_have_a_number(trio: LocalCluster) -> None:
    """A number that no target has is an error, a negative one too."""
    for number in (3, -1):
        with pytest.raises(IndexError, match=f"no target {number}; the local cluster has 3"):
            trio.stop_target(number)


def test_it_needs_a_target_and_a_block() -> None:
    """No targets, and no endpoint before the start, are errors that say so."""
    with pytest.raises(ValueError, match="at least one target, not 0"):
        LocalCluster(targets=0)
    with pytest.raises(ValueError, match="65536 is no port"):
        LocalCluster(port=2**16)
    with pytest.raises(ValueError, match="at least one proxy, not 0"):
        LocalCluster(proxies=0)
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        _ = LocalCluster().endpoint
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        LocalCluster().add_target()


# Python 3.12 warns of a fork beside threads; other tests may have left some.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_ends_nothing(ais_cluster: LocalCluster) -> None:
    """A DataLoader's worker that leaves the block leaves the cluster alone."""
    child = os.fork()
    if child == 0:
        ais_cluster.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert all(is_alive(pid) for pid in ais_cluster.pids)
    assert ask(ais_cluster.endpoint, "smap")["tmap"]


def test_a_failing_start_shows_what_the_node_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the node and holds its last words; no process or folder stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cluster = LocalCluster(backends={"nonsense": {}})
    with pytest.raises(ClusterStartError, match=r"(?s)proxy at .*unknown backend provider"):
        cluster.start()
    assert cluster.pids == []
    assert list(tmp_path.iterdir()) == []


def test_a_slow_start_ends_with_an_error(tmp_path: Path) -> None:
    """A cluster that is not ready in time is stopped; the error has the output of every node."""
    cluster = LocalCluster(directory=tmp_path, timeout_s=0.5)
    with pytest.raises(ClusterStartError, match=r"not ready in time; raise timeout_s=.*\nproxy at"):
        cluster.start()
    assert cluster.pids == []


def test_nodes_see_only_the_environment_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of this process stay out, `environment` comes in; `backends` are configured."""
    witness = tmp_path / "aisnode"
    witness.write_text(f'#!/bin/sh\nenv > "$HOME/seen"\nexec "{find_aisnode()}" "$@"\n')
    witness.chmod(0o755)
    monkeypatch.setenv("AISNODE", str(witness))
    monkeypatch.setenv("AWS_CA_BUNDLE", "leak")
    backends = {"ais": {"elsewhere": ["http://127.0.0.1:1"]}}
    with LocalCluster(
        directory=tmp_path / "data", backends=backends, environment={"AWS_REGION": "moon"}
    ) as cluster:
        seen = [path.read_text() for path in tmp_path.glob("data/*/seen")]
        assert ["AWS_REGION=moon" in variables for variables in seen] == [True, True]
        assert not any("leak" in variables for variables in seen)
        assert ask(cluster.endpoint, "config")["backend"] == backends


def test_a_kept_directory_is_served_again(tmp_path: Path, put_object: PutObject) -> None:
    """A later cluster has the objects, also at other ports, and one excludes another."""
    with LocalCluster(directory=tmp_path) as cluster:
        first = cluster.endpoint
        bucket = cluster.client().bucket("kept").create()
        put_object(bucket, "a", b"hello")
        other = LocalCluster(directory=tmp_path, timeout_s=0.5)
        with pytest.raises(ClusterStartError, match="is in use by another local cluster"):
            other.start()
        assert read(bucket, "a") == b"hello"
    with LocalCluster(directory=tmp_path) as cluster:
        assert cluster.endpoint == first
        assert read(cluster.client().bucket("kept"), "a") == b"hello"
    taken = socket.create_server(("127.0.0.1", int(first.rpartition(":")[2])))
    with taken, LocalCluster(directory=tmp_path) as cluster:
        assert cluster.endpoint != first
        assert read(cluster.client().bucket("kept"), "a") == b"hello"
