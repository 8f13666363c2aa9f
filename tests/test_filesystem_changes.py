"""Changes by the filesystem: buckets, copies, removals, transactions, compressed files."""

from __future__ import annotations

import gc
import gzip
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest
from aistore.sdk import Bucket
from fsspec.callbacks import Callback
from fsspec.core import OpenFile

from aisdatapipes import Settings, errors
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import AuthnServer, LocalCluster
from support.certificates import make_certificates
from support.clouds import MotoS3
from support.faults import FaultProxy


@pytest.fixture
def fs(ais_cluster: LocalCluster) -> AISFileSystem:
    """The filesystem."""
    return AISFileSystem(ais_cluster.endpoint)


@pytest.fixture
def top(ais_bucket: Bucket) -> str:
    """An empty bucket."""
    return ais_bucket.name


def test_buckets_come_and_go(fs: AISFileSystem, top: str) -> None:
    """By mkdir and by rmdir, which takes an empty one only; rm takes it with all in it."""
    new = f"{top}-new"
    fs.mkdir(new)
    assert fs.isdir(new)
    with pytest.raises(FileExistsError):
        fs.mkdir(new)
    fs.pipe(f"{new}/a/b", b"1")
    with pytest.raises(errors.NotEmptyError):
        fs.rmdir(new)
    with pytest.raises(errors.NotEmptyError):
        fs.rmdir(f"{new}/a")
    fs.rm(f"{new}/a/b")
    fs.rmdir(f"{new}/a")
    fs.rmdir(new)
    assert not fs.exists(new)
    fs.mkdir(new)
    fs.pipe({f"{new}/{number}": b"" for number in range(60)})
    fs.rm(new, recursive=True)
    assert not fs.exists(new)
    with pytest.raises(FileNotFoundError):
        fs.rmdir(new)


@pytest.mark.parametrize(
    "write",
    [
        lambda fs, path: fs.makedirs(path),
        lambda fs, path: fs.makedirs(path, exist_ok=True),
        lambda fs, path: fs.mkdir(path),
        lambda fs, path: fs.pipe(path, b""),
        lambda fs, path: fs.touch(path),
        lambda fs, path: fs.put_file(__file__, path),
        lambda fs, path: fs.open(path, "wb").close(),
        lambda fs, path: fsspec.url_to_fs(f"ais://{path}", endpoint=fs.endpoint)[0].pipe(path, b""),
    ],
)
def test_a_mistyped_bucket_does_not_appear(
    fs: AISFileSystem, top: str, write: Callable[[AISFileSystem, str], None]
) -> None:
    """Nothing but mkdir of a bucket makes one."""
    with pytest.raises(errors.BucketNotFoundError, match=f"{top}-mistyped"):
        write(fs, f"{top}-mistyped/folder/x")
    assert not fs.exists(f"{top}-mistyped")


def test_folders_need_no_making(fs: AISFileSystem, top: str) -> None:
    """They are there with their first object; where one may not be, it is said."""
    fs.makedirs(f"{top}/a/b")
    assert not fs.exists(f"{top}/a")
    fs.pipe(f"{top}/a/b/c", b"")
    fs.makedirs(f"{top}/a/b", exist_ok=True)
    for folder in (f"{top}/a/b", top):
        with pytest.raises(FileExistsError):
            fs.makedirs(folder)
    fs.makedirs("", exist_ok=True)


def test_names_with_marks_are_moved_as_they_are(
    fs: AISFileSystem, top: str, tmp_path: Path
) -> None:
    """What is there by the very name of a pattern is meant, and what is like it stays."""
    fs.pipe({f"{top}/{name}": name.encode() for name in ("q[1]", "q1", "d[1]/x*", "d1/x1")})
    fs.cp(f"{top}/q[1]", f"{top}/copy")
    fs.mv(f"{top}/q[1]", f"{top}/moved")
    fs.get(f"{top}/d[1]/x*", str(tmp_path / "got"))
    fs.mv(f"{top}/d[1]", f"{top}/e", recursive=True)
    assert fs.find(top) == [f"{top}/{name}" for name in ("copy", "d1/x1", "e/x*", "moved", "q1")]
    assert (tmp_path / "got").read_bytes() == b"d[1]/x*"
    fs.rm(f"{top}/e/x*")
    assert fs.cat([f"{top}/copy", f"{top}/moved"]) == {
        f"{top}/copy": b"q[1]",
        f"{top}/moved": b"q[1]",
    }


def test_a_move_removes_what_it_copied_only(top: str, faults: FaultProxy) -> None:
    """And nothing if it could not copy all."""
    fs = AISFileSystem(faults.endpoint)
    fs.pipe({f"{top}/a/1": b"1", f"{top}/a/2": b"2"})
    with pytest.raises(errors.BucketNotFoundError):
        fs.mv(f"{top}/a", f"{top}-nothing/b", recursive=True)
    assert fs.find(top) == [f"{top}/a/1", f"{top}/a/2"]
    fs.mv(f"{top}/a/1", f"{top}/a/1")
    assert fs.find(top) == [f"{top}/a/1", f"{top}/a/2"]


@pytest.mark.parametrize("target", ["ais://{top}/a", "ais://{top}/", "{top}", ["ais://{top}/a"]])
def test_an_object_that_is_moved_onto_itself_stays(
    fs: AISFileSystem, top: str, target: str | list[str]
) -> None:
    """However its path is written."""
    fs.pipe(f"{top}/a", b"1")
    if isinstance(target, str):
        fs.mv(f"{top}/a", target.format(top=top))
    else:
        fs.mv([f"{top}/a"], [one.format(top=top) for one in target])
    assert fs.cat(f"{top}/a") == b"1"


@pytest.mark.parametrize(
    ("sources", "target"),
    [
        (["d"], "d/sub/"),
        (["d/1", "d/2"], ["d/2", "d/3"]),
        (["d/1", "d/sub/1"], "e/"),
        (["d/1", "d/2"], ["e", "e"]),
    ],
)
def test_no_copy_goes_over_another(
    fs: AISFileSystem, top: str, sources: list[str], target: str | list[str]
) -> None:
    """Where two objects would get one name, or one that is still to be copied, none is moved."""
    fs.pipe({f"{top}/d/1": b"1", f"{top}/d/2": b"2", f"{top}/d/sub/1": b"3"})
    before = fs.cat(fs.find(top))
    froms = [f"{top}/{source}" for source in sources] if len(sources) > 1 else f"{top}/d/"
    to = f"{top}/{target}" if isinstance(target, str) else [f"{top}/{one}" for one in target]
    for move in (fs.mv, fs.cp):
        with pytest.raises(errors.InvalidURLError, match="cannot copy"):
            move(froms, to, recursive=True)
    assert fs.cat(fs.find(top)) == before


@pytest.mark.parametrize("path", ["", "ais://", "/", ["{top}/a", ""]])
def test_nobody_removes_all_buckets(fs: AISFileSystem, top: str, path: str | list[str]) -> None:
    """An empty path, as of a variable that is not set, removes nothing at all."""
    fs.pipe(f"{top}/a", b"1")
    where = path if isinstance(path, str) else [one.format(top=top) for one in path]
    with pytest.raises(errors.InvalidURLError, match="all buckets"):
        fs.rm(where, recursive=True)
    assert fs.cat(f"{top}/a") == b"1"


def test_names_that_are_not_utf_8_are_moved(fs: AISFileSystem, top: str) -> None:
    """A folder with a file of such a name is copied and moved as any other."""
    name = os.fsdecode(b"\xff\xfe")
    fs.pipe(f"{top}/a/{name}", b"1")
    fs.cp(f"{top}/a", f"{top}/b", recursive=True)
    fs.mv(f"{top}/a", f"{top}/c", recursive=True)
    assert fs.cat(fs.find(top)) == {f"{top}/b/{name}": b"1", f"{top}/c/{name}": b"1"}


def test_a_local_file_without_a_size_is_put_whole(
    fs: AISFileSystem, top: str, tmp_path: Path
) -> None:
    """A pipe and a file of /proc tell that they are empty, and are not."""
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        pool.submit((tmp_path / "pipe").write_bytes, bytes(100_000))
        fs.put(str(tmp_path / "pipe"), f"{top}/pipe")
    assert fs.cat(f"{top}/pipe") == bytes(100_000)
    fs.put("/proc/version", f"{top}/version")
    with fs.transaction:
        fs.put("/proc/version", f"{top}/again")
    version = Path("/proc/version").read_bytes()
    assert fs.cat([f"{top}/version", f"{top}/again"]) == dict.fromkeys(
        (f"{top}/version", f"{top}/again"), version
    )


def test_what_is_not_there_cannot_be_removed(fs: AISFileSystem, top: str) -> None:
    """Named alone, among others, or as a pattern; a folder is not removed by mistake."""
    fs.pipe(f"{top}/a/1", b"1")
    for path in (f"{top}/nothing", [f"{top}/nothing", f"{top}/other"], f"{top}/no*"):
        with pytest.raises(FileNotFoundError):
            fs.rm(path)
    with pytest.raises(IsADirectoryError):
        fs.rm(f"{top}/a")
    fs.rm([])
    assert fs.find(top) == [f"{top}/a/1"]


def test_errors_tell_what_was_done(fs: AISFileSystem, top: str, unused_endpoint: str) -> None:
    """Messages of writing say so, and every error has its number."""
    with pytest.raises(FileNotFoundError) as caught:
        fs.cat_file(f"{top}/nothing")
    assert caught.value.errno == 2
    fs.pipe(f"{top}/a/b", b"")
    with pytest.raises(OSError, match="cannot write 'a'"):
        fs.pipe(f"{top}/a", b"")
    silent = AISFileSystem(unused_endpoint, settings=Settings(max_retries=0))
    with pytest.raises(ConnectionError, match="no AIStore cluster answers"):
        silent.pipe(f"{top}/x", b"")


@pytest.mark.parametrize("mode", ["wb", "wt"])
@pytest.mark.parametrize("is_left", [False, True])
def test_a_compressed_file_is_there_when_it_is_closed(
    fs: AISFileSystem, top: str, mode: str, is_left: bool
) -> None:
    """And not if its block is left by an exception, or if it is dropped."""
    path, text = f"{top}/x.gz", "a line\n" * 1000

    def write() -> None:
        with fs.open(path, mode, compression="infer") as file:
            file.write(text if mode == "wt" else text.encode())
            if is_left:
                raise KeyError(path)

    if is_left:
        with pytest.raises(KeyError):
            write()
        fs.open(path, mode, compression="gzip").write(text if mode == "wt" else text.encode())
        gc.collect()  # from Python 3.13 on it is told what a file could not write when it went
        assert not fs.exists(path)
        return
    write()
    assert gzip.decompress(fs.cat(path)) == text.encode()
    with fs.open(path, "rt", compression="infer") as file:
        assert file.read() == text


def test_an_archive_that_is_not_finished_is_not_there(fs: AISFileSystem, top: str) -> None:
    """Zip and tar end their files also after an exception; the old object stays all the same."""
    path = f"{top}/archive"
    fs.pipe(path, b"old")

    def write(kind: Callable[[Any], Any], fails: bool) -> None:
        with fs.open(path, "wb") as file, kind(file) as archive:
            add = archive.write if isinstance(archive, zipfile.ZipFile) else archive.add
            add(__file__, "one")
            if fails:
                raise KeyError

    def as_zip(file: Any) -> zipfile.ZipFile:
        return zipfile.ZipFile(file, "w")

    def as_tar(file: Any) -> tarfile.TarFile:
        return tarfile.open(fileobj=file, mode="w|")

    for kind in (as_zip, as_tar):
        with pytest.raises(KeyError):
            write(kind, fails=True)
    assert fs.cat(path) == b"old"
    write(as_zip, fails=False)
    with fs.open(path) as file:
        assert zipfile.ZipFile(file).read("one") == Path(__file__).read_bytes()
    write(as_tar, fails=False)
    with fs.open(path) as file, tarfile.open(fileobj=file) as archive:
        assert archive.getnames() == ["one"]


def test_a_transaction_is_of_all_writes(fs: AISFileSystem, top: str, tmp_path: Path) -> None:
    """By open, pipe and put; what is in it is not seen before its end."""
    (tmp_path / "local").write_bytes(b"local")
    with fs.transaction:
        fs.pipe({f"{top}/a": b"a", f"{top}/b": b"b"})
        fs.put(str(tmp_path / "local"), f"{top}/c")
        with fs.open(f"{top}/d", "w") as file:
            file.write("d")
        assert fs.find(top) == []
    contents = {f"{top}/a": b"a", f"{top}/b": b"b", f"{top}/c": b"local", f"{top}/d": b"d"}
    assert fs.cat(top, recursive=True) == contents
    with suppress(KeyError), fs.transaction:
        fs.pipe(f"{top}/a", b"new")
        raise KeyError
    assert fs.cat(top, recursive=True) == contents
    fs.pipe(f"{top}/a", b"new")
    assert fs.cat(f"{top}/a") == b"new"


def test_a_callback_hears_of_the_bytes(fs: AISFileSystem, top: str, tmp_path: Path) -> None:
    """When a local file is put, and the other way."""
    (tmp_path / "local").write_bytes(bytes(1000))
    callback = Callback()
    fs.put_file(tmp_path / "local", f"{top}/x", callback=callback)
    assert (callback.size, callback.value) == (1000, 1000)
    callback = Callback()
    fs.get_file(f"{top}/x", tmp_path / "other", callback=callback)
    assert (callback.size, callback.value) == (1000, 1000)


@pytest.mark.usefixtures("no_token_variables")
def test_a_token_lets_in(authn_cluster: LocalCluster, token: str, tmp_path: Path) -> None:
    """Given in each way, to read; a reader may not write, and nobody without one."""
    (tmp_path / "token").write_text(token)
    for options in (
        {"token": token},
        {"settings": Settings(token=token)},
        {"token_file": tmp_path / "token"},
    ):
        fs = AISFileSystem(authn_cluster.endpoint, **options)
        assert fs.cat("open/03") == b"03"
        assert len(fs.cat(fs.find("open"))) == 12
        with pytest.raises(PermissionError, match="cannot write 'new'") as caught:
            fs.pipe("open/new", b"")
        assert token not in str(caught.value)
    with pytest.raises(errors.AuthenticationError):
        AISFileSystem(authn_cluster.endpoint).exists("open/03")


@pytest.mark.usefixtures("no_token_variables")
def test_an_owner_writes(authn: AuthnServer, authn_cluster: LocalCluster) -> None:
    """Small and large, with a token that goes to the cluster's address alone."""
    token = authn.client().client.token
    fs = AISFileSystem(authn_cluster.endpoint, token=token, block_size=1000)
    fs.mkdir("mine")
    with fs.open("mine/large", "wb") as file:
        file.write(bytes(5000))
    fs.cp("mine/large", "mine/copy")
    assert fs.cat("mine", recursive=True) == {"mine/copy": bytes(5000), "mine/large": bytes(5000)}
    fs.rm("mine", recursive=True)


def test_tls_is_checked(tmp_path: Path) -> None:
    """By the certificate that is given; without it nothing is sent."""
    certificates = make_certificates(tmp_path)
    with LocalCluster(tls=certificates.tls()) as cluster:
        fs = AISFileSystem(cluster.endpoint, ca_cert=certificates.ca, block_size=1000)
        fs.mkdir("b")
        with fs.open("b/large", "wb") as file:
            file.write(bytes(5000))
        fs.pipe("b/small", b"1")
        assert fs.cat("b", recursive=True) == {"b/large": bytes(5000), "b/small": b"1"}
        with pytest.raises(errors.CertificateError):
            AISFileSystem(cluster.endpoint).pipe("b/other", b"")
        assert fs.find("b") == ["b/large", "b/small"]


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoS3]:
    """S3 on this machine."""
    with MotoS3() as cloud:
        yield cloud


def test_buckets_of_a_cloud(moto: MotoS3) -> None:
    """They are read and written by ``provider``, and seen by others."""
    moto.create_bucket("coco")
    moto.put("coco", "train/1.txt", b"one")
    moto.put("coco", "train/big", bytes(range(256)) * 4000)
    with LocalCluster(backends={"aws": {}}, environment=moto.environment) as cluster:
        fs = AISFileSystem(cluster.endpoint, provider="s3")
        assert fs.ls("coco/train", detail=False) == ["coco/train/1.txt", "coco/train/big"]
        assert fs.cat("coco/train/1.txt") == b"one"
        options = {"provider": "aws", "endpoint": cluster.endpoint}
        with cast("OpenFile", fsspec.open("ais://coco/train/1.txt", **options)) as file:
            assert file.read() == b"one"
        with fs.open("coco/train/big") as file:
            file.seek(500_000)
            assert file.read(3) == bytes([32, 33, 34])
        with fs.open("coco/train/new", "wb") as file:
            file.write(bytes(12_000_000))
        assert fs.info("coco/train/new")["size"] == 12_000_000
        fs.rm("coco/train/1.txt")
        assert not fs.exists("coco/train/1.txt")
        assert fs.isdir("coco/train")
        with pytest.raises(FileNotFoundError):
            fs.ls("no-such-bucket")


def test_an_object_is_appended_to(fs: AISFileSystem, top: str) -> None:
    """By writing it anew, also where there was none."""
    path = f"{top}/log"
    for _ in range(2):
        with fs.open(path, "a") as file:
            file.write("a line\n")
    assert fs.cat(path) == b"a line\na line\n"
