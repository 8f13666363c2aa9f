"""Packing: shards of random trees, read by every reader, unpacked, and packed again."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import webdataset
from aistore.sdk import Bucket
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes import AISShardMapDataset, AISShardReader, Manifest, ShardIndex
from aisdatapipes.cli import main
from aisdatapipes.errors import ObjectChangedError
from aisdatapipes.packing.plan import Limits, plan_shards
from aisdatapipes.packing.shard_content import ShardContent
from aisdatapipes.packing.sources import FolderSource, SourceFile
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.bucket_properties import set_checksum
from support.fault_rules import Latency
from support.fault_writes import CutUpload
from support.faults import FaultProxy
from support.tars import member, pack, shard

Command = Callable[..., tuple[str, str]]
Samples = dict[str, dict[str, bytes]]

FOLDERS = ["", "cat/", "dog/deep/", "ü ö/", "with.dot/", f"{'long' * 30}/"]
EXTENSIONS = ["jpg", "seg.png", "cls", "JSON", "tar.gz"]


@pytest.fixture
def command(
    ais_cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a command in an empty folder; it returns what is written to stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    # Else a command keeps SIGTERM for itself.
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments: object, code: int = 0) -> tuple[str, str]:
        try:
            ended = main(list(map(str, arguments)))
        except SystemExit as stop:
            ended = stop.code
        shown = capsys.readouterr()
        assert ended == code, shown
        return shown.out, shown.err

    return run


def tree(folder: Path, seed: int, samples: int = 25) -> dict[str, bytes]:
    """Fill a folder with random samples, and return its files."""
    chance = random.Random(seed)
    files = {}
    for number in range(samples):
        key = f"{chance.choice(FOLDERS)}{chance.choice(['', 'a b', 'ä-'])}{number}"
        for extension in chance.sample(EXTENSIONS, chance.randint(1, 3)):
            files[f"{key}.{extension}"] = chance.randbytes(chance.choice([0, 1, 511, 512, 3000]))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


def samples_of(files: dict[str, bytes]) -> Samples:
    """Return the samples that files make, by their keys."""
    found: Samples = {}
    for name, content in files.items():
        folder, slash, base = name.rpartition("/")
        stem, _, extension = base.partition(".")
        found.setdefault(folder + slash + stem, {})[extension.lower()] = content
    return found


def stored(bucket: Bucket, prefix: str = "") -> dict[str, bytes]:
    """Return all objects of a bucket."""
    names = [item.name for item in bucket.list_all_objects(prefix=prefix)]
    return {name: b"".join(bucket.object(name).get_reader()) for name in names}


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, by its name."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def filled(sample: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what is not empty: our readers give an empty file for each that a sample lacks."""
    return {extension: content for extension, content in sample.items() if content}


def read_by_webdataset(content: bytes) -> Samples:
    """Return the samples of a shard as webdataset groups them."""
    samples: Samples = {}
    opened = [{"url": "a shard", "stream": io.BytesIO(content)}]
    members = webdataset.tariterators.tar_file_expander(opened)
    for sample in webdataset.tariterators.group_by_keys(members):
        fields: dict[str, Any] = {k: v for k, v in sample.items() if not k.startswith("__")}
        assert sample["__key__"] not in samples
        samples[sample["__key__"]] = fields
    return samples


names = st.tuples(
    st.sampled_from(["", "a/", "b/", "a/b.c/"]),
    st.sampled_from("0123456789"),
    st.sampled_from(["jpg", "cls", "seg.png"]),
).map(lambda parts: f"{parts[0]}{parts[1]}.{parts[2]}")


@given(
    st.dictionaries(names, st.integers(0, 5000)),
    st.integers(1, 20_000),
    st.none() | st.integers(1, 5),
    st.none() | st.integers(0, 9),
    st.randoms(),
)
def test_the_law_of_plans(
    sizes: dict[str, int],
    max_bytes: int,
    max_samples: int | None,
    seed: int | None,
    chance: random.Random,
) -> None:
    """Each file is in one place, a sample in one shard, and no shard too big without need.

    The order in which files are found does not matter.
    """
    files = [SourceFile(*item) for item in sizes.items()]
    limits = Limits(max_bytes, max_samples)
    plan = plan_shards(files, limits, seed)
    assert sorted(file for one in plan.shards for file in one.files) == sorted(files)
    owners: dict[str, set[int]] = {}
    for number, one in enumerate(plan.shards):
        runs = [next(iter(samples_of({file.name: b""}))) for file in one.files]
        changes = [key for key, before in zip(runs, ["", *runs], strict=False) if key != before]
        assert len(changes) == len(set(changes)) == one.samples
        for key in changes:
            owners.setdefault(key, set()).add(number)
        assert one.size <= max_bytes or one.samples == 1
        assert one.samples <= (max_samples or one.samples)
    assert all(len(one) == 1 for one in owners.values())
    chance.shuffle(files)
    assert plan_shards(files, limits, seed) == plan


@pytest.mark.parametrize("seed", range(3))
def test_there_and_back(
    command: Command, ais_bucket: Bucket, faults: FaultProxy, tmp_path: Path, seed: int
) -> None:
    """Every reader finds the samples of a tree, and unpacking makes the same tree of them.

    To pack or unpack it again writes nothing; with --shuffle it is the same in another order.
    """
    chance = random.Random(seed)
    files = tree(tmp_path / "in", seed)
    url = f"ais://{ais_bucket.name}"
    limits = ["--max-size", chance.randint(5_000, 30_000), "--max-count", chance.randint(3, 9)]
    beside = ["--manifest", "m", "--index", "i"]
    order = ["--shuffle", "--seed", seed] if seed else []
    arguments = ["pack", "in", f"{url}/train-%04d.tar", *limits, *order, "--json"]
    packed = json.loads(command(*arguments, *beside)[0])
    shards = stored(ais_bucket)
    expected = samples_of(files)
    assert packed == {
        "shards": len(shards),
        "samples": len(expected),
        "files": len(files),
        "bytes": sum(map(len, shards.values())),
        "written": len(shards),
        "left_out": 0,
    }
    by_webdataset = [read_by_webdataset(content) for content in shards.values()]
    assert sum(map(len, by_webdataset)) == len(expected)
    assert {key: one for part in by_webdataset for key, one in part.items()} == expected
    manifest, index = Manifest.load("m"), ShardIndex.load("i")
    assert manifest.fingerprint == Manifest.build(f"{url}/train-").fingerprint
    index.check()
    for dataset in (AISShardReader(manifest=manifest), AISShardMapDataset(index=index)):
        assert {one.key: filled(one) for _, one in dataset} == {
            key: filled(one) for key, one in expected.items()
        }

    again = [*arguments, "--endpoint", faults.endpoint]
    assert json.loads(command(*again)[0]) == {**packed, "written": 0}
    assert faults.count("^(PUT|POST) ") == 0

    pattern = f"{url}/train-{{0000..{len(shards) - 1:04d}}}.tar"
    done = json.loads(command("unpack", pattern, "out", "--json")[0])
    assert done == {"written": len(files), "bytes": sum(map(len, files.values())), "unchanged": 0}
    assert files_in(tmp_path / "out") == files
    command("unpack", pattern, f"{url}/back")
    assert stored(ais_bucket, "back/") == {f"back/{name}": files[name] for name in files}
    tmp_path.joinpath("out", min(files)).write_bytes(b"other")
    assert "unpacked 1 file " in command("unpack", pattern, "out")[0]
    assert files_in(tmp_path / "out") == files
    again = ["unpack", pattern, f"{url}/back", "--endpoint", faults.endpoint]
    assert f"unpacked 0 files (0 B) to {url}/back; {len(files)} were there" in command(*again)[0]
    assert faults.count("^(PUT|POST) ") == 0


def test_the_bytes_are_those_of_a_tar_of_nobody(
    command: Command, ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """Owner, mode and times of files are not in it; a bucket with the same files gives the same."""
    files = tree(tmp_path / "in", 4)
    for path in tmp_path.joinpath("in").rglob("*.cls"):
        path.chmod(0o600)
    for name, content in files.items():
        put_object(ais_bucket, f"from/{name}", content)
    url = f"ais://{ais_bucket.name}"
    command("pack", "in", f"{url}/a/%d.tar", "--max-count", 9)
    command("pack", f"{url}/from", f"{url}/b/%d.tar", "--max-count", 9)
    first, second = stored(ais_bucket, "a/"), stored(ais_bucket, "b/")
    assert len(first) == 3
    assert list(first.values()) == list(second.values())
    members = [
        each
        for one in first.values()
        for each in tarfile.open(fileobj=io.BytesIO(one), errorlevel=2)  # noqa: SIM115 - memory
    ]
    owners = {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members}
    assert owners == {(0, 0, 0, "", "", 0o644)}


def test_what_was_broken_off_goes_on(
    command: Command, ais_bucket: Bucket, faults: FaultProxy, tmp_path: Path
) -> None:
    """After kill -9 in the middle there are whole shards only; a new run writes the others."""
    tree(tmp_path / "in", 5)
    url, limits = f"ais://{ais_bucket.name}", ["--max-count", "2", "--workers", "2"]
    faults.rules.append(Latency(times=None, matches="PUT /v1/objects.*killed", seconds=0.15))
    process = subprocess.Popen(
        [sys.executable, "-m", "aisdatapipes", "pack", "in", f"{url}/killed/%02d.tar", *limits],
        cwd=tmp_path,
        env={**os.environ, "AIS_ENDPOINT": faults.endpoint},
    )
    until = time.monotonic() + 30
    while sum(each.status == 200 for each in faults.requests if each.method == "PUT") < 2:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = stored(ais_bucket, "killed/")
    rest = json.loads(command("pack", "in", f"{url}/killed/%02d.tar", *limits, "--json")[0])
    assert 2 <= len(before) == rest["shards"] - rest["written"] < rest["shards"]
    command("pack", "in", f"{url}/whole/%02d.tar", *limits)
    killed, whole = stored(ais_bucket, "killed/"), stored(ais_bucket, "whole/")
    assert list(killed.values()) == list(whole.values())
    assert before.items() <= killed.items()


def test_a_cut_upload_is_sent_again(
    command: Command, ais_bucket: Bucket, faults: FaultProxy, tmp_path: Path
) -> None:
    """The shard is put together again, from its beginning."""
    tree(tmp_path / "in", 6)
    url = f"ais://{ais_bucket.name}"
    command("pack", "in", f"{url}/a-%d.tar")
    cut = CutUpload(5000, times=2, matches="PUT /v1/objects")
    with faults.rule(cut):
        command("pack", "in", f"{url}/b-%d.tar", "--endpoint", faults.endpoint)
        assert faults.hits(cut) == 2
    assert len({*stored(ais_bucket).values()}) == 1


def test_other_content_is_not_replaced_by_itself(
    command: Command, ais_bucket: Bucket, tmp_path: Path
) -> None:
    """A changed file of the same size is noticed; --force replaces its shard, and no other one.

    Shards that would be left over are refused in any case, as readers would read them too.
    """
    files = tree(tmp_path / "in", 7)
    target = f"ais://{ais_bucket.name}/%02d.tar"
    command("pack", "in", target, "--max-count", 5)
    before = stored(ais_bucket)
    name = next(name for name, content in files.items() if len(content) == 3000)
    tmp_path.joinpath("in", name).write_bytes(bytes(3000))
    refused = command("pack", "in", target, "--max-count", 5, code=1)[1]
    assert ".tar is there already, with other content or" in refused
    assert stored(ais_bucket) == before
    done = json.loads(command("pack", "in", target, "--max-count", 5, "--force", "--json")[0])
    assert done["written"] == 1
    assert sum(one != before[each] for each, one in stored(ais_bucket).items()) == 1
    before = stored(ais_bucket)
    refused = command("pack", "in", target, "--max-count", 10, "--force", code=1)[1]
    assert "/03.tar and 1 more are left over from an earlier run" in refused
    assert stored(ais_bucket) == before


@pytest.mark.parametrize(("kind", "written"), [("md5", 0), ("none", 1)])
def test_buckets_with_other_checksums(
    command: Command, ais_bucket: Bucket, tmp_path: Path, kind: str, written: int
) -> None:
    """What is there is known by a checksum of any kind; without one it is never trusted."""
    tree(tmp_path / "in", 9)
    set_checksum(ais_bucket, kind)
    arguments = ["pack", "in", f"ais://{ais_bucket.name}/%d.tar", "--json"]
    command(*arguments)
    if written:
        assert "without a checksum" in command(*arguments, code=1)[1]
    again = json.loads(command(*arguments, "--force")[0])
    assert (again["shards"], again["written"]) == (1, written)


@pytest.mark.parametrize("size", [1, 512, 1000, 1024, 10**6])
def test_a_shard_is_the_same_in_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    """It has the size that was planned, and ends where it ends, also behind whole blocks."""
    tree(tmp_path, 8, samples=5)
    source = FolderSource(tmp_path)
    (planned,) = plan_shards(source.files(), Limits()).shards
    with ShardContent(source, planned.files) as content:
        pieces = list(iter(lambda: content.read(size), b""))
        assert content.tell() == planned.size == sum(map(len, pieces))
        assert {len(piece) for piece in pieces[:-1]} <= {size}
        content.seek(0)
        assert b"".join(content.pieces()) == b"".join(pieces)


@pytest.mark.parametrize("change", [b"more than before", b"less"])
def test_a_file_that_changes_meanwhile(tmp_path: Path, change: bytes) -> None:
    """It is no part of a shard: neither what was cut, nor the bytes of the next member."""
    tmp_path.joinpath("a.txt").write_bytes(b"as before")
    source = FolderSource(tmp_path)
    files = list(source.files())
    tmp_path.joinpath("a.txt").write_bytes(change)
    with ShardContent(source, files) as content, pytest.raises(ObjectChangedError, match=r"a\.txt"):
        content.read(4096)


def test_what_no_reader_takes_is_named(
    command: Command, ais_bucket: Bucket, tmp_path: Path
) -> None:
    """Files without a key or an extension are left out, in one line of standard error."""
    tmp_path.joinpath("in", "__meta__").mkdir(parents=True)
    for name in ("1.jpg", "README", ".hidden", "__meta__/x.json", "2."):
        tmp_path.joinpath("in", name).write_bytes(b"x")
    url = f"ais://{ais_bucket.name}"
    out, err = command("pack", "in", f"{url}/%d.tar")
    assert out.startswith("packed 1 file, 1 sample, in 1 shard (2.0 kB) to ")
    assert "left out 4 files" in err
    assert ".hidden, 2., README, __meta__/x.json\n" in err
    tmp_path.joinpath("in", "1.jpg").unlink()
    assert "no files in in that make samples" in command("pack", "in", f"{url}/%d.tar", code=1)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["in", "{url}/train.tar"], 1, "write it like ais://bucket/train-%06d.tar"),
        (["in", "{url}/%d-%d.tar"], 1, "need one number"),
        (["in", "{url}/%d.tar.gz"], 1, "and .tar at their end"),
        (["in", "{url}/../%d.tar"], 1, "no object can be read by the name"),
        (["in", "here-%d.tar"], 1, "is no URL of a bucket"),
        (["in", "ais://nowhere-at-all/%d.tar"], 1, "no bucket ais://nowhere-at-all"),
        (["nothing", "{url}/%d.tar"], 1, "no folder 'nothing'"),
        (["in/1.jpg", "{url}/%d.tar"], 1, "is a file"),
        (["empty", "{url}/%d.tar"], 1, "no files in empty"),
        (["twice", "{url}/%d.tar"], 1, "'1.JPG' and '1.jpg' would be one and the same"),
        (["{url}/none", "{url}-x/%d.tar"], 1, "no object"),
        (["{url}", "{url}/new/%d.tar"], 1, "the shards would be among the files"),
        (["in", "{url}/%d.tar", "--max-size", "much"], 2, "'much' is no size"),
        (["in", "{url}/%d.tar", "--max-size", "0"], 2, "is no size from 1 on"),
    ],
)
def test_errors(
    command: Command,
    ais_bucket: Bucket,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """One line names the thing, and nothing is written."""
    for name in ("in/1.jpg", "twice/1.jpg", "twice/1.JPG", "empty/no/folder"):
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        if "empty" not in name:
            tmp_path.joinpath(name).write_bytes(b"x")
    url = f"ais://{ais_bucket.name}"
    out, err = command("pack", *[one.format(url=url) for one in arguments], code=code)
    assert out == ""
    assert message in err.splitlines()[-1]
    assert stored(ais_bucket) == {}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("../x", b"x")], "leads out of the folder"),
        ([member("/tmp/x", b"x")], "leads out of the folder"),
        ([member("a/../../x", b"x")], "leads out of the folder"),
        ([member("a.txt", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "is a link to"),
        ([member("a.txt", type=tarfile.LNKTYPE, linkname="b.txt")], "is a link to"),
        ([member("x.txt", b"1"), member("./x.txt", b"2")], "comes a second time"),
        ([member("out/x.txt", b"x")], "by a link"),
        ([member("file.txt", b"x")], "by a link"),
    ],
)
@pytest.mark.parametrize("is_bucket", [False, True])
def test_unpacking_writes_nothing_elsewhere(
    command: Command,
    ais_bucket: Bucket,
    put_object: PutObject,
    tmp_path: Path,
    members: list[tuple[tarfile.TarInfo, bytes]],
    message: str,
    is_bucket: bool,
) -> None:
    """Names and links that lead out of the target are refused, also by links that are there."""
    put_object(ais_bucket, "bad.tar", pack([member("good.txt", b"good"), *members]))
    target = tmp_path / "target"
    target.mkdir()
    tmp_path.joinpath("elsewhere").mkdir()
    target.joinpath("out").symlink_to(tmp_path / "elsewhere")
    target.joinpath("file.txt").symlink_to(tmp_path / "elsewhere" / "file.txt")
    url = f"ais://{ais_bucket.name}"
    is_refused = message != "by a link" or not is_bucket
    goal = f"{url}/deep/er" if is_bucket else target
    _, error = command("unpack", f"{url}/bad.tar", goal, code=int(is_refused))
    assert (message in error) == is_refused
    assert list(tmp_path.joinpath("elsewhere").iterdir()) == []
    assert all(name.startswith("deep/er/") for name in stored(ais_bucket) if name != "bad.tar")
    assert {path.name for path in tmp_path.iterdir()} == {"target", "elsewhere"}


def test_unpacking_says_what_is_missing_or_cut(
    command: Command, ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """A shard that braces name and that is not there is an error, before anything is written."""
    put_object(ais_bucket, "0.tar", shard(0, 5))
    put_object(ais_bucket, "cut.tar", shard(5, 5)[:5000])
    url = f"ais://{ais_bucket.name}"
    assert "no object '1.tar'" in command("unpack", f"{url}/{{0..1}}.tar", "out", code=1)[1]
    assert not tmp_path.joinpath("out").exists()
    assert "is no shard" in command("unpack", url, "out", code=1)[1]
    assert "cut.tar" in command("unpack", f"{url}/*.tar", "out", code=1)[1]
    found = files_in(tmp_path / "out")
    assert len(found) > 10
    assert all(content == f"{name[-3:]} {name[:-4]}".encode() for name, content in found.items())


def test_an_index_says_how_it_was_found(
    command: Command, ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """Of sound shards it is written; else each bad one is a line, and nothing is written."""
    url = f"ais://{ais_bucket.name}/train-"
    for number in range(2):
        put_object(ais_bucket, f"train-{number}.tar", shard(5 * number, 5))
    put_object(ais_bucket, "train-2.tgz", shard(10, 5))  # which the cluster's index is not for
    report = json.loads(command("index", url, "-o", "i", "--json")[0])
    assert report == {
        "shards": 3,
        "samples": 15,
        "bytes": 3 * len(shard(0, 5)),
        "extensions": ["jpg", "cls"],
        "by_cluster": 2,
        "by_scan": 1,
        "problems": [],
    }
    built = ShardIndex.build(url, cluster_index="off")
    assert ShardIndex.load("i").fingerprint == built.fingerprint
    put_object(ais_bucket, "train-1.tar", shard(5, 5)[:5000])
    out, _ = command("index", url, "-o", "again", code=1)
    assert f"problem: 'train-1.tar' in ais://{ais_bucket.name}" in out
    assert out.endswith("wrote no again\n")
    assert not tmp_path.joinpath("again").exists()
    assert "no object" in command("index", f"{url}none", code=1)[1]
