"""Shard indexes: what they say of shards is what `tarfile` finds, and they are kept and shared."""

from __future__ import annotations

import copy
import gzip
import io
import pickle
import tarfile
from itertools import chain
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Manifest, ShardIndex, errors
from aisdatapipes.indexes import scanning
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.jobs import run_ranks
from support.tars import member, pack, shard

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def members_of(count: int, size: int = 600) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Samples with names that take extended headers, and a file that belongs to none."""
    names = [f"train/{'x' * (50 * (n % 3) + 1)}/ä{n:04d}" for n in range(count)]
    files = [(f"{name}.{end}", end) for name in names for end in ("jpg", "Seg.PNG", "cls")]
    made = [member(name, f"{end} {name}".encode() * (size // 100)) for name, end in files]
    return [*made[:4], member("README", b"nothing"), *made[4:]]


def keys(index: ShardIndex) -> list[str]:
    """Return the keys of all samples."""
    return [entry.key for entry in index]


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("big_bytes", [2**20, 500])
def test_ranges_are_where_tarfile_has_the_members(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    tar_format: int,
    big_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Read over or jumped over; each range has the files of its sample, and those alone."""
    monkeypatch.setattr(scanning, "_BIG_BYTES", big_bytes)
    archive = pack(members_of(20), tar_format)
    put_object(ais_bucket, "a.tar", archive)
    url = f"ais://{ais_bucket.name}/"
    index = ShardIndex.build(url, client_url=ais_cluster.endpoint, cluster_index="off")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = [(info.name, info.offset, info.offset_data + info.size) for info in tar]
    for entry in index:
        ((begin, end),) = entry.ranges
        inside = [name for name, first, last in found if begin <= first < end]
        names = [f"{entry.key}.{extension}" for extension in entry.extensions]
        assert [name.lower() for name in inside if name != "README"] == [n.lower() for n in names]
        assert min(first for _, first, last in found if first >= begin) == begin
    assert len(index) == 20
    assert index.counts == [20]


@pytest.fixture
def index(ais_cluster: LocalCluster, shard_urls: list[str]) -> ShardIndex:
    """Of five shards of seven samples each."""
    manifest = Manifest.from_urls(shard_urls)
    return ShardIndex.build(manifest=manifest, client_url=ais_cluster.endpoint)


def test_it_is_a_sequence(index: ShardIndex, shard_urls: list[str]) -> None:
    """Of what each sample is; negative indices count from the end."""
    assert keys(index) == [f"train/{number:04d}" for number in range(35)]
    assert index[-1] == index[34]
    assert index[34].url == shard_urls[4]
    assert (index[8].basename, index[8].extensions) == ("0008", ("jpg", "cls"))
    assert (index.counts, index.extensions) == ([7] * 5, ("jpg", "cls"))
    with pytest.raises(IndexError, match="no sample 35: the index has 35"):
        index[35]


def test_it_is_saved_and_copied(index: ShardIndex, tmp_path: Path) -> None:
    """A file, a pickle and a copy have the same; the file holds no endpoint."""
    index.save(tmp_path / "i")
    for other in (ShardIndex.load(tmp_path / "i"), pickle.loads(pickle.dumps(index))):
        assert list(other) == list(index)
        assert other.fingerprint == index.fingerprint
    assert copy.deepcopy(index)._file is index._file
    assert ShardIndex.load(tmp_path / "i").manifest.endpoint == ""


def test_it_takes_28_bytes_for_a_sample_and_its_key(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """As promised: at most 60."""
    put_object(ais_bucket, "a.tar", shard(0, 1000))
    index = ShardIndex.build(f"ais://{ais_bucket.name}/", client_url=ais_cluster.endpoint)
    assert index.nbytes - sum(map(len, keys(index))) < 28 * 1000 + 2000


@pytest.mark.parametrize("change", ["cut", "changed", "none"])
def test_a_damaged_file_is_refused(index: ShardIndex, tmp_path: Path, change: str) -> None:
    """With what to do about it."""
    path = tmp_path / "the.index"
    index.save(path)
    data = path.read_bytes()
    damaged = {"cut": data[:-1], "changed": data[:-1] + b"?", "none": b"something else"}
    path.write_bytes(damaged[change])
    with pytest.raises(errors.ShardIndexError, match=r"the\.index.*build and save it again"):
        ShardIndex.load(path)


@pytest.mark.parametrize("replacement", [shard(50, 7), None], ids=["replaced", "gone"])
def test_a_shard_that_is_another_one_is_noticed(
    index: ShardIndex, ais_bucket: Bucket, put_object: PutObject, replacement: bytes | None
) -> None:
    """By its checksum, though its size is the same."""
    index.check()
    if replacement:
        put_object(ais_bucket, "3.tar", replacement)
    else:
        ais_bucket.object("3.tar").delete()
    with pytest.raises(errors.ObjectChangedError, match=r"'3\.tar'.*since it was indexed: build"):
        index.check()


BAD = {
    "cut": (shard(0, 7)[:5000], errors.CutArchiveError, "it is cut"),
    "no tar": (b"no tar" * 1000, errors.BadArchiveError, "is no tar archive"),
    "compressed": (
        gzip.compress(shard(0, 7)),
        errors.BadArchiveError,
        "read it by AISShardReader",
    ),
    "a link": (
        pack([member("a.jpg", type=tarfile.SYMTYPE, linkname="b.jpg")]),
        errors.BadArchiveError,
        "is a link to 'b.jpg'",
    ),
    "a key that comes back": (
        pack([member("a.jpg", b"1"), member("b.jpg", b"2"), member("a.jpg", b"3")]),
        errors.BadArchiveError,
        "one more 'jpg' of sample 'a'.*AISShardReader",
    ),
    "gone": (None, errors.ObjectNotFoundError, "no object"),
}


@pytest.mark.parametrize(("archive", "kind", "message"), BAD.values(), ids=BAD)
def test_a_shard_that_cannot_be_indexed(
    ais_cluster: LocalCluster,
    shard_urls: list[str],
    ais_bucket: Bucket,
    put_object: PutObject,
    archive: bytes | None,
    kind: type[Exception],
    message: str,
) -> None:
    """It raises and says why; or, skipped, the index has what is whole before the fault."""
    if archive is None:
        ais_bucket.object("2.tar").delete()
    else:
        put_object(ais_bucket, "2.tar", archive)
    manifest = Manifest.from_urls(shard_urls)
    with pytest.raises(kind, match=message):
        ShardIndex.build(manifest=manifest, client_url=ais_cluster.endpoint)
    index = ShardIndex.build(manifest=manifest, client_url=ais_cluster.endpoint, on_error="skip")
    assert index.counts[:2] + index.counts[3:] == [7] * 4
    assert index.counts[2] == (kind is errors.CutArchiveError and 2) + ("one more" in message)


def test_big_members_are_jumped_over(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """What follows each of them is requested by range."""
    members = chain.from_iterable(
        (member(f"{n}.bin", bytes(3 * 2**20)), member(f"{n}.cls", b"1")) for n in range(8)
    )
    put_object(ais_bucket, "big.tar", pack(list(members)))
    url = f"ais://{ais_bucket.name}/"
    index = ShardIndex.build(url, client_url=faults.endpoint, cluster_index="off")
    assert index.counts == [8]
    assert index[7].ranges[0][1] == 8 * (3 * 2**20 + 512 + 1024)
    assert faults.count(r"GET /v1/objects") >= 8


def built_in_rank(url: str, endpoint: str) -> tuple[str, int]:
    """Index and check a bucket in one of several ranks."""
    index = ShardIndex.build(url, client_url=endpoint, cluster_index="off")
    index.check()
    return index.fingerprint, len(index)


def test_one_rank_builds_for_all(
    shard_urls: list[str], ais_bucket: Bucket, faults: FaultProxy
) -> None:
    """Two ranks have the same index, and each shard was read by one of them."""
    url = f"ais://{ais_bucket.name}/"
    alone = built_in_rank(url, faults.endpoint)
    requests = faults.count("GET /v1/objects")
    assert run_ranks(2, built_in_rank, url, faults.endpoint) == [alone] * 2
    assert faults.count("GET /v1/objects") == 2 * requests
    assert alone[1] == 7 * len(shard_urls)
