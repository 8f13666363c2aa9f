"""The filesystem's tree: what is there, and what is not."""

from __future__ import annotations

import itertools
import random

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy

NAMES = ["a b", "q1.txt", "q[1].txt", "top", "x-1", "x.txt", "x/1", "x/y/2", "x/y/z/3", "z*"]


@pytest.fixture
def fs(ais_cluster: LocalCluster) -> AISFileSystem:
    """The filesystem."""
    return AISFileSystem(ais_cluster.endpoint)


@pytest.fixture
def top(ais_bucket: Bucket, put_object: PutObject) -> str:
    """A bucket with some objects, each of as many bytes as its name."""
    for name in NAMES:
        put_object(ais_bucket, name, name.encode())
    return ais_bucket.name


def test_a_level_has_files_and_folders(fs: AISFileSystem, top: str) -> None:
    """In the order of the names, each with its size."""
    assert fs.ls(f"ais://{top}/x/") == [
        {"name": f"{top}/x/1", "size": 3, "type": "file"},
        {"name": f"{top}/x/y", "size": 0, "type": "directory"},
    ]
    assert fs.ls(top, detail=False) == [
        f"{top}/{name}" for name in [*NAMES[:4], "x", *NAMES[4:6], NAMES[-1]]
    ]
    assert fs.ls(f"{top}/top", detail=False) == [f"{top}/top"]
    assert {"name": top, "size": 0, "type": "directory"} in fs.ls("")


def test_a_level_of_many_pages_is_whole(
    fs: AISFileSystem, top: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all below is too much to look at, the level is listed by itself."""
    whole = fs.ls(top)
    monkeypatch.setattr("aisdatapipes.listing.folders._FEW", 2)
    assert fs.ls(top) == whole


@pytest.mark.parametrize("seed", range(5))
def test_random_levels_are_those_of_their_names(
    fs: AISFileSystem,
    ais_bucket: Bucket,
    put_object: PutObject,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much of what is below is looked at, and whatever folders are left over."""
    chance = random.Random(seed)
    names = {"/".join(chance.choices("abc!.-0", k=chance.randint(1, 4))) for _ in range(40)}
    names = {name for name in names if "/./" not in f"/{name}/"}
    names = {name for name in names if not any(one.startswith(f"{name}/") for one in names)}
    for name in names:
        put_object(ais_bucket, name, b"x")
    for gone in chance.sample(sorted(names), len(names) // 2):
        ais_bucket.object(gone).delete()
        names.remove(gone)
    for few, worth, vain in itertools.product((1, 5, 1000), (0, 3, 200), (0, 25)):
        for name, value in [("FEW", few), ("NAMES_PER_QUESTION", worth), ("NAMES_IN_VAIN", vain)]:
            monkeypatch.setattr(f"aisdatapipes.listing.folders._{name}", value)
        for top in ("", "a/", "!/", "0/"):
            below = [name.removeprefix(top) for name in names if name.startswith(top)]
            level = {f"{ais_bucket.name}/{top}{name.split('/')[0]}" for name in below}
            if below:
                assert fs.ls(f"{ais_bucket.name}/{top}", detail=False) == sorted(level)


def test_many_folders_are_not_asked_for_one_by_one(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As names are listed much faster: only those that no page shows are, at least the ghosts."""
    monkeypatch.setattr("aisdatapipes.listing.folders._FEW", 25)
    for number in range(50):
        put_object(ais_bucket, f"{number:02}/x", b"x")
    ais_bucket.object("07/x").delete()
    assert len(AISFileSystem(faults.endpoint).ls(ais_bucket.name)) == 49
    assert len(faults.requests) <= 5  # two pages, the level, the ghost, and one to spare


@pytest.mark.parametrize("few", [1000, 1])
def test_no_folder_is_left_over(
    fs: AISFileSystem, ais_bucket: Bucket, top: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AIStore still lists the folder of an object that was the last one in it."""
    monkeypatch.setattr("aisdatapipes.listing.folders._FEW", few)
    ais_bucket.object("x/y/2").delete()
    ais_bucket.object("x/y/z/3").delete()
    assert fs.ls(f"{top}/x", detail=False) == [f"{top}/x/1"]
    assert not fs.exists(f"{top}/x/y")
    assert [name for name in fs.find(top, withdirs=True) if "/y" in name] == []
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{top}/x/y")
    with pytest.raises(errors.ObjectNotFoundError):
        fs.cat(f"{top}/x/y")


def test_find_descends(fs: AISFileSystem, top: str) -> None:
    """By one listing, with sizes, as deep as is wanted, with folders if wanted."""
    everything = [f"{top}/{name}" for name in NAMES]
    assert fs.find(top) == everything
    assert fs.find(top, detail=True)[f"{top}/x/1"]["size"] == 3
    assert fs.find(f"{top}/x", maxdepth=2) == [f"{top}/x/1", f"{top}/x/y/2"]
    assert fs.find(f"{top}/x", maxdepth=1, withdirs=True) == [
        *(f"{top}/x", f"{top}/x/1", f"{top}/x/y"),
    ]
    assert fs.find(f"{top}/top") == [f"{top}/top"]
    assert fs.find(f"{top}/nothing") == []
    assert fs.du(top) == sum(map(len, NAMES))
    assert fs.du(f"{top}/x", total=False) == {
        f"{top}/x/1": 3,
        f"{top}/x/y/2": 5,
        f"{top}/x/y/z/3": 7,
    }


def test_find_is_one_listing(top: str, faults: FaultProxy) -> None:
    """So are what walks and what measures."""
    fs = AISFileSystem(faults.endpoint)
    for look in (fs.find, fs.du, lambda path: list(fs.walk(path))):
        faults.requests.clear()
        look(top)
        assert len(faults.requests) == 1


def test_walk_is_that_of_the_local_disk(fs: AISFileSystem, top: str) -> None:
    """From the top or from the bottom, and what is taken out of a list is left out."""
    down = list(fs.walk(f"{top}/x"))
    assert down == [
        (f"{top}/x", ["y"], ["1"]),
        (f"{top}/x/y", ["z"], ["2"]),
        (f"{top}/x/y/z", [], ["3"]),
    ]
    assert list(fs.walk(f"{top}/x", topdown=False)) == down[::-1]
    assert list(fs.walk(f"{top}/x", maxdepth=1)) == down[:1]
    seen = []
    for path, folders, _ in fs.walk(f"{top}/x"):
        seen.append(path)
        folders.clear()
    assert seen == [f"{top}/x"]
    assert list(fs.walk(f"{top}/top")) == [(f"{top}/top", [], [""])]
    assert list(fs.walk(f"{top}/nothing")) == []
    with pytest.raises(FileNotFoundError):
        list(fs.walk(f"{top}/nothing", on_error="raise"))


def test_a_literal_name_goes_before_a_pattern(fs: AISFileSystem, top: str) -> None:
    """Who names an object that has a bracket in its name means that one."""
    assert fs.glob(f"{top}/q[1].txt") == [f"{top}/q[1].txt"]
    assert fs.glob(f"{top}/z*") == [f"{top}/z*"]
    assert fs.glob(f"{top}/q*.txt") == [f"{top}/q1.txt", f"{top}/q[1].txt"]
    assert fs.glob(f"{top}/**/3") == [f"{top}/x/y/z/3"]
    assert fs.cat(f"{top}/q[1].txt") == b"q[1].txt"
    fs.rm(f"{top}/q[1].txt")
    assert fs.exists(f"{top}/q1.txt")
    assert not fs.exists(f"{top}/q[1].txt")


def test_info_tells_what_the_cluster_knows(fs: AISFileSystem, ais_bucket: Bucket, top: str) -> None:
    """Of an object; a folder has a name only."""
    ais_bucket.object("top").get_writer().set_custom_props({"label": "ü"})
    info = fs.info(f"ais://{top}/top")
    assert (info["name"], info["size"], info["type"]) == (f"{top}/top", 3, "file")
    assert (info["checksum_type"], len(info["checksum"])) == ("xxhash2", 16)
    assert info["custom"] == {"label": "ü"}
    assert (
        info["mtime"] == info["LastModified"].timestamp() == fs.modified(f"{top}/top").timestamp()
    )
    assert info["checksum"] in info["ETag"]
    for folder in (f"{top}/x", top, ""):
        assert fs.info(folder) == {"name": folder, "size": 0, "type": "directory"}
    with pytest.raises(NotImplementedError):
        fs.modified(f"{top}/x")


def test_an_object_that_is_written_again_has_another_etag(
    fs: AISFileSystem, ais_bucket: Bucket, top: str, put_object: PutObject
) -> None:
    """So libraries see that what they cached is old."""
    before = fs.info(f"{top}/top"), fs.ukey(f"{top}/top"), fs.checksum(f"{top}/top")
    put_object(ais_bucket, "top", b"new")
    after = fs.info(f"{top}/top"), fs.ukey(f"{top}/top"), fs.checksum(f"{top}/top")
    assert before[0]["ETag"] != after[0]["ETag"]
    assert before[1:] != after[1:]


def test_nothing_is_there_only_if_the_cluster_says_so(
    fs: AISFileSystem, top: str, unused_endpoint: str
) -> None:
    """A cluster that does not answer is no "no"."""
    questions = ("exists", "isfile", "isdir")
    for path in (f"{top}/nothing", f"{top}-nothing", f"{top}-nothing/x"):
        assert [getattr(fs, question)(path) for question in questions] == [False] * 3
    assert [fs.isfile(f"{top}/top"), fs.isdir(f"{top}/top")] == [True, False]
    assert [fs.isfile(f"{top}/x"), fs.isdir(f"{top}/x")] == [False, True]
    silent = AISFileSystem(unused_endpoint)
    for question in questions:
        with pytest.raises(errors.ClusterUnreachableError):
            getattr(silent, question)(f"{top}/top")


@pytest.mark.parametrize("name", ["../x", "a/../x", "./x", "a//b", "~/x", "a\nb", "a\tb"])
def test_names_that_would_be_others_are_refused(fs: AISFileSystem, top: str, name: str) -> None:
    """By all that takes a path, before anything is sent."""
    path = f"{top}/{name}"
    calls = [
        *(fs.info, fs.exists, fs.isdir, fs.ls, fs.find, fs.open, fs.cat_file, fs.rm_file, fs.rm),
        lambda path: fs.open(path, "wb"),
        lambda path: fs.pipe_file(path, b""),
        lambda path: fs.cp_file(f"{top}/top", path),
        lambda path: fs.mv(f"{top}/top", path),
        lambda path: fs.put_file(__file__, path),
        fs.touch,
    ]
    for call in calls:
        with pytest.raises(ValueError, match="AIStore"):
            call(path)
    assert fs.find(top) == [f"{top}/{name}" for name in NAMES]


def test_paths_of_other_schemes_are_explained(fs: AISFileSystem) -> None:
    """A cloud's bucket is one of another provider."""
    with pytest.raises(errors.InvalidURLError, match="provider='aws'"):
        fs.ls("s3://bucket/x")


def test_an_empty_bucket_is_found(top: str, faults: FaultProxy) -> None:
    """By patterns and walks as by `ls`, and no bucket is listed for that."""
    fs = AISFileSystem(faults.endpoint)
    assert top in fs.ls("", detail=False)
    assert top in fs.glob("*")
    _, folders, _ = next(fs.walk("", maxdepth=1))
    assert top in folders
    assert faults.count(f"GET /v1/buckets/{top}") == 0
