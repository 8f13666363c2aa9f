"""The command that checks the way from here to a cluster, and what the cluster can do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from aistore.sdk import Bucket
from torch.utils.data import IterDataPipe

from aisdatapipes.cli import main
from aisdatapipes.cli.abilities import _batches
from aisdatapipes.cli.diagnosis import _clock
from aisdatapipes.cli.environment import _is_met
from aisdatapipes.client.settings import Settings
from aisdatapipes.testing import LocalCluster
from aisdatapipes.testing.access import Access
from aisdatapipes.urls import ParsedURL
from conftest import PutObject
from support.fault_rules import Cut, Refuse, Rule, Status
from support.faults import FaultProxy
from support.jwts import resign

pytestmark = pytest.mark.usefixtures("no_token_variables")
Found = dict[str, tuple[bool | None, str]]
Doctor = Callable[..., Found]


@pytest.fixture
def doctor(
    ais_cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Doctor:
    """Run the command, and return what it finds by topic: the worst, or else the last, of each."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: str, code: int = 0) -> Found:
        assert main(["doctor", "--json", *arguments]) == code
        found: Found = {}
        for line in capfd.readouterr().out.splitlines():
            one = json.loads(line)
            if found.get(one["topic"], (True, ""))[0] is not False:
                found[one["topic"]] = one["is_good"], one["text"]
        return found

    return run


def test_all_is_well(doctor: Doctor, ais_bucket: Bucket, put_object: PutObject) -> None:
    """With the real cluster everything is checked, and as it should be."""
    put_object(ais_bucket, "a", b"four")
    found = doctor()
    wanted = {"versions", "pipes", "token", "proxies", "endpoint", "TLS", "proxy", "target"}
    assert found.keys() == wanted | {"clock", "access", "GetBatch", "shard index"}
    assert {is_good for is_good, _ in found.values()} == {True}
    assert "every script needs" in found["pipes"][1] or "has none" in found["pipes"][1]


def test_the_table(ais_cluster: LocalCluster, capfd: pytest.CaptureFixture[str]) -> None:
    """People see a mark, the topic and the finding."""
    main(["doctor", "--endpoint", ais_cluster.endpoint])
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("ok  versions     aisdatapipes ")
    assert all(line[:4] in ("ok  ", "!!  ", "--  ") for line in lines)


def test_nothing_is_written(doctor: Doctor, faults: FaultProxy, ais_cluster: LocalCluster) -> None:
    """It only asks, and no bucket is there afterwards that was not before."""
    buckets = ais_cluster.client().cluster().list_buckets()
    doctor("--endpoint", faults.endpoint)
    assert {one.method for one in faults.requests} <= {"GET", "HEAD"}
    assert ais_cluster.client().cluster().list_buckets() == buckets


def test_an_empty_cluster_is_not_called_good(ais_cluster: LocalCluster, ais_bucket: Bucket) -> None:
    """Where no object can be read by GetBatch, that is said, and what to do."""
    empty = ParsedURL("ais", ais_bucket.name)
    finding = _batches([empty], ais_cluster.endpoint, Settings())
    assert finding.is_good is None
    assert finding.text == (
        "not checked, because there is no ais:// bucket with a small object: put one there"
    )


@pytest.mark.parametrize(
    ("rule", "topic", "is_good", "text"),
    [
        (Status(400, matches="ml/moss", times=None), "GetBatch", False, "read with max_batch=1"),
        (Cut(after_bytes=600, matches="ml/moss", times=None), "GetBatch", False, "max_batch=1"),
        (Status(400, matches="looks-for-none"), "shard index", False, "update AIStore"),
        (Status(503, matches="looks-for-none"), "shard index", None, "not checked, because"),
        (Refuse(matches="looks-for-none", times=None), "shard index", None, "not checked"),
        (Refuse(matches="v1/health", times=None), "target", False, "cannot be reached from here"),
        (Status(401, matches="GET /v1/buckets", times=None), "access", False, ""),
        (Status(401, matches="GET /v1/buckets", times=None), "GetBatch", None, "not checked"),
        (Status(401, matches="GET /v1/buckets", times=None), "shard index", None, "401"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Rule) else None,
)
def test_what_is_wrong_with_a_cluster(
    doctor: Doctor,
    faults: FaultProxy,
    ais_bucket: Bucket,
    put_object: PutObject,
    rule: Rule,
    topic: str,
    is_good: bool | None,
    text: str,
) -> None:
    """Each is said on the line of its topic; only what is bad makes the command fail."""
    put_object(ais_bucket, "a", bytes(2000))
    faults.rules = [rule]
    is_bad = is_good is False or (topic != "access" and rule.matches == "GET /v1/buckets")
    found = doctor("--endpoint", faults.endpoint, code=int(is_bad))
    assert found[topic][0] is is_good, found
    assert text in found[topic][1]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "no address"])
def test_no_cluster(doctor: Doctor, endpoint: str) -> None:
    """It says what to do, and fails; nothing else is looked at behind that."""
    found = doctor("--endpoint", endpoint, code=1)
    assert [*found][-1] == "endpoint"
    assert found["endpoint"][0] is False


def test_a_cluster_that_wants_a_token(doctor: Doctor, faults: FaultProxy) -> None:
    """It is said where the token is to be."""
    faults.rules = [Status(401, matches="v1/daemon", times=None)]
    found = doctor("--endpoint", faults.endpoint, code=1)
    assert found["endpoint"] == (
        False,
        f"{faults.endpoint} refuses this job (401 Unauthorized): set AIS_AUTHN_TOKEN or "
        "AIS_AUTHN_TOKEN_FILE to a token that is good there",
    )


def test_a_proxy_in_the_way(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HTTP proxy of the environment is named where it would be asked, and what to set."""
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    found = doctor("--endpoint", "http://127.0.0.1:2", code=1)
    assert found["proxies"] == (
        False,
        "http://127.0.0.1:2 by way of the HTTP proxy in the environment, though it is near: add "
        "127.0.0.1 to no_proxy",
    )
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("token", "is_good", "text"),
    [
        (Access(auth_secret="x").token(), True, "good for 24 hours"),
        (resign(Access(auth_secret="x").token() or "", "x", -7300), False, "expired 2 hours ago"),
        ("no-jwt", True, "it does not tell when it ends"),
        ("two words", False, "AIS_AUTHN_TOKEN"),
    ],
)
def test_the_token(
    doctor: Doctor,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    is_good: bool,
    text: str,
) -> None:
    """Where it comes from and how long it is good is told, and it is never shown."""
    monkeypatch.setenv("AIS_AUTHN_TOKEN", token)
    found = doctor("--endpoint", "http://127.0.0.1:1", code=1)
    assert found["token"][0] is is_good
    assert text in found["token"][1]
    assert token not in str(found)


def test_other_pipes_by_our_name(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes that have taken our names are found out."""
    monkeypatch.setitem(IterDataPipe.functions, "list_files_by_ais", lambda *_, **__: object())
    found = doctor("--endpoint", "http://127.0.0.1:1", code=1)
    assert found["pipes"] == (
        False,
        "list_files_by_ais is that of builtins: import aisdatapipes after it",
    )


@pytest.mark.parametrize(
    ("apart_s", "is_good", "text"),
    [
        (0, True, "0 s apart"),
        (-1, True, "0 s apart"),
        (29, True, "29 s apart"),
        (3600, False, "t1 is 3,600 s ahead of this machine: set both by NTP"),
        (-90, False, "t1 is 90 s behind this machine"),
    ],
)
def test_clocks(apart_s: int, is_good: bool, text: str) -> None:
    """Half a minute is well; more is said, and in which direction."""
    now = float(int(time.time()))
    finding = _clock("t1", formatdate(now + apart_s, usegmt=True), now)
    assert finding.is_good is is_good
    assert text in finding.text


def test_a_node_without_a_clock() -> None:
    """That cannot be checked."""
    assert _clock("t1", "", 0.0).is_good is None


def test_versions_that_are_too_old() -> None:
    """What is required is compared as numbers; what only an extra needs is not."""
    assert _is_met("torch>=2.3")
    assert _is_met("aistore<3,>=2")
    assert not _is_met("torch>=99")
    assert not _is_met("no-such-package>=1")
    assert _is_met('no-such-package>=1; extra == "dev"')
