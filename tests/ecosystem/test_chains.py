"""fsspec's own: chains with caches, many files at once, mappers, folders and transactions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import fsspec
import pytest
from fsspec.generic import GenericFileSystem, rsync
from fsspec.implementations.dirfs import DirFileSystem

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


def caches(bucket: str, folder: str) -> None:
    """Read and write through caches on the disk, and replace what they hold."""
    fs = fsspec.filesystem("ais")
    path = f"{bucket}/data.bin"
    for kind in ("filecache", "simplecache"):
        fs.pipe(path, b"old" * 100_000)
        options = {kind: {"cache_storage": f"{folder}/{kind}"}}
        if kind != "simplecache":
            options[kind]["check_files"] = True
        with fsspec.open(f"{kind}::{path}", "rb", **options) as file:
            file.seek(299_990)
            assert file.read() == b"doldoldold"
        assert any(Path(folder, kind).iterdir())
        fs.pipe(path, b"new" * 100_000)
        with fsspec.open(f"{kind}::{path}", "rb", **options) as file:
            assert file.read(3) == (b"old" if kind == "simplecache" else b"new")
    with fsspec.open(f"simplecache::{bucket}/written.txt", "w") as file:
        file.write("by the cache")
    assert fs.cat(f"{bucket}/written.txt") == b"by the cache"


def many(bucket: str) -> None:
    """Open many files at once, to write and to read, compressed too."""
    with fsspec.open_files(f"{bucket}/part-*.txt.gz", "wt", num=3, compression="infer") as files:
        for number, file in enumerate(files):
            file.write(f"part {number}")
    with fsspec.open_files(f"{bucket}/part-*.txt.gz", "rt", compression="infer") as files:
        assert [file.read() for file in files] == ["part 0", "part 1", "part 2"]
    with fsspec.open(f"{bucket}/archive.zip", "wb") as file, ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "zipped")
    with fsspec.open(f"zip://a.txt::{bucket}/archive.zip", "rb") as file:
        assert file.read() == b"zipped"


def mapper(bucket: str) -> None:
    """Use a folder as a dictionary."""
    mapped = fsspec.get_mapper(f"{bucket}/map", create=True)
    mapped["a/1"] = b"one"
    mapped.setitems({"a/2": b"two", "b": b"three"})
    assert sorted(mapped) == ["a/1", "a/2", "b"]
    assert mapped.getitems(["a/1", "c"], on_error="omit") == {"a/1": b"one"}
    assert (mapped["a/2"], "c" in mapped, len(mapped)) == (b"two", False, 3)
    del mapped["b"]
    with pytest.raises(KeyError):
        mapped["b"]
    mapped.clear()
    assert list(mapped) == []


def folders(bucket: str, local: str) -> None:
    """Work in a folder as if it were all there is, and copy between filesystems."""
    inside = DirFileSystem(f"{bucket}/home", fs=fsspec.filesystem("ais"))
    inside.pipe({"a.txt": b"a", "sub/b.txt": b"b"})
    assert inside.find("") == ["a.txt", "sub/b.txt"]
    assert inside.cat(["a.txt", "sub/b.txt"]) == {"a.txt": b"a", "sub/b.txt": b"b"}
    inside.mv("a.txt", "sub/a.txt")
    inside.get("sub", f"{local}/got", recursive=True)
    assert sorted(one.name for one in Path(local, "got").iterdir()) == ["a.txt", "b.txt"]
    rsync(f"file://{local}/got", f"{bucket}/synced", fs=GenericFileSystem())
    assert len(fsspec.filesystem("ais").find(f"{bucket}/synced")) == 2


def transactions(bucket: str) -> None:
    """Write two files or none."""
    fs = fsspec.filesystem("ais")

    def fail() -> None:
        with fs.transaction:
            fs.pipe(f"{bucket}/a", b"a")
            with fs.open(f"{bucket}/b", "wb") as file:
                file.write(bytes(9_000_000))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert fs.ls(bucket) == []
    with fs.transaction:
        for name in "ab":
            fs.pipe(f"{bucket}/{name}", name.encode())
        assert fs.ls(bucket) == []
    assert fs.cat(bucket, recursive=True) == {
        f"{bucket.removeprefix('ais://')}/{name}": name.encode() for name in "ab"
    }


def test_caches(as_user: AsUser, bucket: str, tmp_path: Path) -> None:
    """``filecache::`` notices a new object if told to look, ``simplecache::`` never looks."""
    as_user(caches, bucket, str(tmp_path))


def test_many(as_user: AsUser, bucket: str) -> None:
    """Files of a pattern are written and read, compressed by their names, and in an archive."""
    as_user(many, bucket)


def test_mapper(as_user: AsUser, bucket: str) -> None:
    """A folder is a dictionary."""
    as_user(mapper, bucket)


def test_folders(as_user: AsUser, bucket: str, tmp_path: Path) -> None:
    """A folder can be all there is, and be copied between filesystems."""
    as_user(folders, bucket, str(tmp_path))


def test_transactions(as_user: AsUser, bucket: str) -> None:
    """What is written in a transaction is there as a whole, or not at all."""
    as_user(transactions, bucket)
