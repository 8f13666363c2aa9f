"""universal_pathlib: paths that know what to do."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from upath import UPath

if TYPE_CHECKING:
    from aisdatapipes.testing import LocalCluster
    from ecosystem.conftest import AsUser


def paths(bucket: str, endpoint: str) -> None:
    """Write, find, read, move and remove files by paths."""
    root = UPath(bucket)
    file = root / "notes" / "a #1.txt"
    file.write_text("hello\n")
    (root / "notes" / "deep" / "b.bin").write_bytes(b"b")
    assert file.read_text() == "hello\n"
    assert (file.exists(), file.is_file(), file.is_dir()) == (True, True, False)
    assert (file.parent.is_dir(), file.stat().st_size, file.suffix) == (True, 6, ".txt")
    assert {one.name for one in file.parent.iterdir()} == {"a #1.txt", "deep"}
    assert [str(one) for one in root.rglob("*.bin")] == [f"{bucket}/notes/deep/b.bin"]
    with file.open("a") as added:
        added.write("world\n")
    moved = file.rename(file.with_name("c.txt"))
    assert (moved.read_text(), file.exists()) == ("hello\nworld\n", False)
    moved.unlink()
    with pytest.raises(FileNotFoundError):
        moved.read_bytes()
    with pytest.raises(FileNotFoundError):
        UPath("ais://no-such-bucket/a.txt").write_text("a")
    other = pickle.loads(pickle.dumps(UPath(bucket, endpoint=endpoint, concurrency=2)))
    assert [one.name for one in other.iterdir()] == ["notes"]


def test_paths(as_user: AsUser, bucket: str, ais_cluster: LocalCluster) -> None:
    """A path does what pathlib's does, and keeps its options."""
    as_user(paths, bucket, ais_cluster.endpoint)
