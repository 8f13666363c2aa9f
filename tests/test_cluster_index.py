"""The cluster's own index of shards: believed where it is certain, and else left aside."""

from __future__ import annotations

import logging
import re
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings, ShardIndex, errors
from aisdatapipes.indexes import cluster_index
from aisdatapipes.indexes.building import UseOfCluster
from aisdatapipes.indexes.cluster_index import parse_index
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Status
from support.faults import FaultProxy
from support.tars import member, pack, shard, sparse

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def built(bucket: Bucket, endpoint: str, use: UseOfCluster = "build") -> ShardIndex:
    """Return the index of a bucket."""
    return ShardIndex.build(f"ais://{bucket.name}/", client_url=endpoint, cluster_index=use)


def index_name(bucket: Bucket, shard: str) -> str:
    """Return the name of the cluster's index object."""
    return f"ais/@#/{bucket.name}/{shard}.idx"


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with three shards of eight samples, in a folder."""
    for number in range(3):
        put_object(ais_bucket, f"train/{number}.tar", shard(8 * number, 8))
    return ais_bucket


@pytest.fixture
def system(ais_cluster: LocalCluster) -> Bucket:
    """The bucket of the cluster's indexes."""
    return ais_cluster.client().bucket(".sys-shardidx")


@pytest.fixture
def known(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Says of how many shards the cluster's index was used for the last index."""
    caplog.set_level(logging.INFO, "aisdatapipes")

    def count() -> int:
        lines = [one.getMessage() for one in caplog.records]
        found = [re.search(r"indexed .* shards, (\d+) of them by", line) for line in lines]
        return int([one for one in found if one][-1][1])

    return count


def test_it_is_built_and_used(
    filled: Bucket, ais_cluster: LocalCluster, known: Callable[[], int]
) -> None:
    """The result is that of a scan; what is there is not built again."""
    scanned = built(filled, ais_cluster.endpoint, "off")
    assert known() == 0
    for use in ("build", "read"):
        index = built(filled, ais_cluster.endpoint, use)
        assert (list(index), index.fingerprint) == (list(scanned), scanned.fingerprint)
        assert known() == 3


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_formats(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    known: Callable[[], int],
    tar_format: int,
) -> None:
    """Members with extended headers, all of them or none, are where a scan finds them."""
    names = [f"{'x' * 60}/{'y' * 50}/{n}.{end}" for n in range(9) for end in ("jpg", "cls")]
    put_object(ais_bucket, "a.tar", pack([member(n, n.encode()) for n in names], tar_format))
    index = built(ais_bucket, ais_cluster.endpoint)
    assert known() == 1
    assert list(index) == list(built(ais_bucket, ais_cluster.endpoint, "off"))
    assert len(index) == 9


JPG, CLS = member("a.jpg", b"image"), member("a.cls", b"1")
UNCERTAIN = {
    "a directory first": pack([member("d", type=tarfile.DIRTYPE), JPG, CLS]),
    "a directory in between": pack([JPG, member("d", type=tarfile.DIRTYPE), CLS]),
    "a directory at the end": pack([JPG, CLS, member("d", type=tarfile.DIRTYPE)]),
    "directories everywhere": pack(
        [member("d", type=tarfile.DIRTYPE), JPG, member("e", type=tarfile.DIRTYPE), CLS]
    ),
    "some long names": pack([JPG, CLS, member("x" * 120 + ".jpg", b"2")], tarfile.GNU_FORMAT),
    "two tars": pack([JPG, CLS]) + pack([member("b.jpg", b"more")]),
    "a file with holes": sparse("gnu"),
    "nothing": pack([]),
}


@pytest.mark.parametrize("archive", UNCERTAIN.values(), ids=UNCERTAIN)
def test_what_is_not_certain_is_scanned(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    known: Callable[[], int],
    archive: bytes,
) -> None:
    """Where the cluster does not account for every byte, its index is left aside."""
    put_object(ais_bucket, "a.tar", archive)
    index = built(ais_bucket, ais_cluster.endpoint)
    assert known() == 0
    assert list(index) == list(built(ais_bucket, ais_cluster.endpoint, "off"))


def test_a_link_is_refused_as_by_a_scan(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """The cluster leaves links out."""
    link = member("a.txt", type=tarfile.SYMTYPE, linkname="a.jpg")
    put_object(ais_bucket, "a.tar", pack([JPG, link, CLS]))
    with pytest.raises(errors.BadArchiveError, match=r"is a link to 'a\.jpg'"):
        built(ais_bucket, ais_cluster.endpoint)


def test_a_stale_index_is_left_aside(
    filled: Bucket, put_object: PutObject, ais_cluster: LocalCluster, known: Callable[[], int]
) -> None:
    """Of a shard of the same size too: it has the checksum of the one before."""
    built(filled, ais_cluster.endpoint)
    put_object(filled, "train/1.tar", shard(50, 8))
    for use in ("read", "build"):
        index = built(filled, ais_cluster.endpoint, use)
        assert known() == 2
        assert [entry.key for entry in index][8:10] == ["train/0050", "train/0051"]


@pytest.mark.parametrize("change", ["version", "content", "cut", "empty"])
def test_an_index_that_is_not_understood(
    filled: Bucket,
    put_object: PutObject,
    system: Bucket,
    ais_cluster: LocalCluster,
    known: Callable[[], int],
    change: str,
) -> None:
    """One of a later version, or damaged, is left aside."""
    expected = list(built(filled, ais_cluster.endpoint))
    name = index_name(filled, "train/1.tar")
    data: Any = system.object(name).get_reader().read_all()  # the SDK says it may be a buffer
    changed = {"version": b"\2" + data[1:], "content": data[:-1] + b"?", "cut": data[:50]}
    put_object(system, name, changed.get(change, b""))
    assert list(built(filled, ais_cluster.endpoint, "read")) == expected
    assert known() == 2


def test_it_is_not_asked_for_other_shards(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, known: Callable[[], int]
) -> None:
    """AIStore indexes what is called ``.tar``."""
    put_object(ais_bucket, "a.shard", shard(0, 3))
    assert len(built(ais_bucket, faults.endpoint)) == 3
    assert (known(), faults.count("POST")) == (0, 0)


@pytest.mark.parametrize(
    "rule",
    [
        Status(400, times=None, matches="POST /v1/buckets"),
        Status(403, times=None, matches="POST /v1/buckets"),
        Status(404, times=None, matches=r"GET /v1/buckets/\.sys-shardidx"),
        Status(403, times=None, matches=r"GET /v1/objects/\.sys-shardidx"),
        Status(400, times=None, matches=r"GET /v1/cluster\?"),
    ],
    ids=["unknown action", "forbidden action", "no bucket", "forbidden bucket", "no status"],
)
def test_a_cluster_that_refuses(
    filled: Bucket, faults: FaultProxy, rule: Status, known: Callable[[], int]
) -> None:
    """An older one, or one that the token may not write to: the shards are scanned."""
    with faults.rule(rule):
        index = built(filled, faults.endpoint)
        assert faults.hits(rule)
    assert (index.counts, known()) == ([8, 8, 8], 0)


@pytest.mark.usefixtures("no_token_variables")
def test_a_token_that_may_only_read(
    authn_cluster: LocalCluster, token: str, known: Callable[[], int]
) -> None:
    """It has no access to the system's bucket: the shards are scanned."""
    authn_cluster.client().bucket("open").object("a.tar").get_writer().put_content(shard(0, 4))
    settings = Settings(token=token)
    endpoint = authn_cluster.endpoint
    index = ShardIndex.build("ais://open/a.tar", client_url=endpoint, settings=settings)
    assert (index.counts, known()) == ([4], 0)


def test_numbers_are_as_go_writes_them() -> None:
    """Seven bits to a byte, the lowest first."""
    for value, data in [(0, b"\0"), (127, b"\x7f"), (300, b"\xac\2"), (2**40, b"\x80" * 5 + b" ")]:
        assert cluster_index._number(data + b"?", 0) == (value, len(data))
    with pytest.raises(ValueError, match="begins with 020001, not 010001"):
        parse_index(b"\2\0\1")
