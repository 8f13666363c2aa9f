"""Manifests in files and in other processes: pickling, saving, loading, and what is left behind."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
import torch.distributed as dist

from aisdatapipes import errors
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.testing import LocalCluster
from benchmarks.storing import Store
from support.faults import FaultProxy

URLS = [f"ais://b/train/{number:04}" for number in range(1000)]
LISTINGS = "GET /v1/buckets/"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, apart from what other programs leave behind."""
    root = tmp_path / "temporary"
    root.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root))
    return root


def folders() -> set[Path]:
    """Return the private folders of all manifests that are there."""
    return set(Path(gettempdir()).glob("aisdatapipes-manifest-*"))


@pytest.fixture
def manifest() -> Manifest:
    """A manifest of `URLS`."""
    return Manifest.from_urls(URLS)


def seen_in_a_worker(manifest: Manifest) -> tuple[list[str], int]:
    """Return what a worker process has of a manifest."""
    return manifest.urls(), sum(manifest.sizes)


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_workers_use_the_same_file(manifest: Manifest, start_method: str) -> None:
    """Every kind of process reads it, none writes another one, and none takes it away."""
    before = folders()
    with multiprocessing.get_context(start_method).Pool(2) as pool:
        results = pool.map(seen_in_a_worker, [manifest] * 4)
    assert results == [(URLS, -1000)] * 4
    assert folders() == before
    assert manifest.urls() == URLS


def test_the_pickle_is_small(manifest: Manifest) -> None:
    """It holds the path, not the names."""
    assert len(pickle.dumps(manifest)) < 1024


def test_copies_keep_the_file() -> None:
    """The folder goes with the last copy in this process, pickled ones too."""
    before = folders()
    first = Manifest.from_urls(URLS)
    second = pickle.loads(pickle.dumps(copy.deepcopy(first)))
    assert len(folders() - before) == 1
    del first
    gc.collect()
    third = pickle.loads(pickle.dumps(second))
    assert third.urls() == URLS
    del second, third
    gc.collect()
    assert folders() == before


def test_only_this_user_can_look_inside(manifest: Manifest) -> None:
    """The folder and what is saved have no permissions for others."""
    before = folders()
    kept = Manifest.from_urls(URLS)
    (folder,) = folders() - before
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(kept) == len(manifest)


def test_a_pickle_without_its_file() -> None:
    """What is unpickled when the file is gone is an error that names the way to keep one."""
    pickled = pickle.dumps(Manifest.from_urls(URLS[:3]))
    gc.collect()
    with pytest.raises(errors.ManifestError, match=r"is gone: .*Manifest\.save and Manifest\.load"):
        pickle.loads(pickled)


ENDINGS = {
    "at its end": "",
    "by an exception": "raise RuntimeError('on purpose')",
    "by sys.exit": "import sys; sys.exit(3)",
    "with a forked child": "import os; os.fork() and os.wait()",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_leaves_no_folder(ending: str, tmp_path: Path) -> None:
    """However a program ends, the folder of its manifest goes with it."""
    program = (
        "from aisdatapipes.manifests.manifest import Manifest\n"
        "import glob, tempfile\n"
        "manifest = Manifest.from_urls(['ais://b/o'])\n"
        "assert glob.glob(tempfile.gettempdir() + '/aisdatapipes-manifest-*')\n"
        f"{ENDINGS[ending]}\n"
        "assert len(manifest.names()) == 1\n"
    )
    environment = {"TMPDIR": str(tmp_path), "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "AssertionError" not in run.stderr
    assert list(tmp_path.glob("aisdatapipes-*")) == []


def keep_one(root: Path, kept: list[Manifest] = []) -> None:  # noqa: B006 - lives on
    """Make a manifest that is there until the process ends."""
    tempfile.tempdir = str(root)
    kept.append(Manifest.from_urls(URLS))
    assert folders()


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_a_child_process_leaves_no_folder(root: Path, start_method: str) -> None:
    """What a rank or worker makes itself goes with it, however it was started."""
    context: Any = multiprocessing.get_context(start_method)
    process = context.Process(target=keep_one, args=(root,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert folders() == set()


def test_save_and_load(manifest: Manifest, tmp_path: Path) -> None:
    """A loaded manifest has the same objects; the file is this user's alone, and the only one."""
    path = tmp_path / "train.manifest"
    path.write_text("something older")
    manifest.save(path)
    loaded = Manifest.load(path)
    assert list(loaded) == list(manifest)
    assert loaded.fingerprint == manifest.fingerprint
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one for one in tmp_path.iterdir() if one.is_file()] == [path]


def test_a_loaded_one_does_not_depend_on_the_file(manifest: Manifest, tmp_path: Path) -> None:
    """Its processes do not care what becomes of the file that it was loaded from."""
    path = tmp_path / "train.manifest"
    manifest.save(path)
    loaded = Manifest.load(path)
    path.write_bytes(b"")
    assert pickle.loads(pickle.dumps(loaded)).urls() == URLS


def test_a_failed_save_leaves_what_was_there(manifest: Manifest, tmp_path: Path) -> None:
    """Where the file cannot be put into place nothing stays behind."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        manifest.save(tmp_path / "taken")
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "temporary"}


def cut(data: bytes, at: int) -> bytes:
    """Return the file without what comes from a byte on."""
    return data[:at]


def changed(data: bytes, at: int) -> bytes:
    """Return the file with one other byte in it."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("damage", [cut, changed])
def test_a_damaged_file_is_refused(damage: Callable[[bytes, int], bytes], tmp_path: Path) -> None:
    """A manifest that was cut or changed anywhere is a clear error, never other objects."""
    path = tmp_path / "train.manifest"
    Manifest.from_urls(URLS[:5]).save(path)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(damage(data, at))
        with pytest.raises(errors.ManifestError, match=r"train\.manifest"):
            Manifest.load(path)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(["ais://b/o"]), bytes(100)])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """What is no manifest is not read as one, and nothing is unpickled."""
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(errors.ManifestError, match="it is not one"):
        Manifest.load(path)


def build_in_a_rank(rank: int, endpoint: str, store: Path) -> None:
    """Build a manifest in one of two ranks and check that it is whole."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    manifest = Manifest.build("ais://for-two-ranks", client_url=endpoint)
    assert manifest.names() == [f"{number:03}" for number in range(100)]
    dist.barrier()
    dist.destroy_process_group()


def test_one_rank_lists_for_all(
    ais_cluster: LocalCluster, faults: FaultProxy, tmp_path: Path
) -> None:
    """Where a process group is up, the cluster is asked once for the job."""
    store = Store(ais_cluster.endpoint)
    store.create_bucket("for-two-ranks")
    store.put_all("for-two-ranks", ((f"{number:03}", b"") for number in range(100)))
    context = multiprocessing.get_context("forkserver")
    ranks = [
        context.Process(target=build_in_a_rank, args=(rank, faults.endpoint, tmp_path / "store"))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    ais_cluster.client().bucket("for-two-ranks").delete()
    assert [process.exitcode for process in ranks] == [0, 0]
    assert faults.count(LISTINGS) == 1
