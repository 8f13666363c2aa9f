"""Manifests in files and in other processes: pickling, saving, loading, and what is left behind."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

from aisdatapipes import errors
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.testing import LocalCluster
from benchmarks.storing import Store
from support.faults import FaultProxy
from support.processes import open_files

URLS = [f"ais://b/train/{number:04}" for number in range(1000)]
LISTINGS = "GET /v1/buckets/"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, apart from what other programs leave behind."""
    root = tmp_path / "temporary"
    root.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root))
    return root


@pytest.fixture
def manifest() -> Manifest:
    """A manifest of `URLS`."""
    return Manifest.from_urls(URLS)


def seen_in_a_worker(manifest: Manifest, sender: Connection) -> None:
    """Send what a worker process has of a manifest."""
    sender.send((manifest.urls(), sum(manifest.sizes)))


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_workers_use_the_same_file(manifest: Manifest, start_method: str, root: Path) -> None:
    """Every kind of process reads it, and none takes it away."""
    context: Any = multiprocessing.get_context(start_method)
    for _ in range(2):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=seen_in_a_worker, args=(manifest, sender))
        process.start()
        assert receiver.recv() == (URLS, -1000)
        process.join()
    assert manifest.urls() == URLS
    assert list(root.iterdir()) == []


class Weighed:
    """Keeps how long the pickle of a manifest is, wherever it goes."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest, self.pickled_bytes = manifest, 0

    def __getstate__(self) -> bytes:
        return pickle.dumps(self.manifest)

    def __setstate__(self, state: bytes) -> None:
        self.manifest, self.pickled_bytes = pickle.loads(state), len(state)


class Lengths(Dataset[tuple[int, int]]):
    """Yields the length of a manifest, and of the pickle that brought it here."""

    def __init__(self, manifest: Manifest) -> None:
        self.weighed = Weighed(manifest)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[int, int]:
        return len(self.weighed.manifest), self.weighed.pickled_bytes


def test_a_worker_starts_without_a_copy() -> None:
    """Of 100,000 names a DataLoader's worker gets less than 10 KB, and has them all."""
    manifest = Manifest.from_urls(f"ais://b/train/{number:06}" for number in range(100_000))
    loader = DataLoader(
        Lengths(manifest), batch_size=None, num_workers=1, multiprocessing_context="forkserver"
    )
    ((length, pickled_bytes),) = loader
    assert length == 100_000
    assert 0 < pickled_bytes < 10_000
    assert len(pickle.dumps(manifest)) > 100_000


def test_copies_share_the_file() -> None:
    """They open nothing, and have it still when the original is gone."""
    before = open_files()
    first = Manifest.from_urls(URLS)
    opened = open_files()
    second = copy.deepcopy(copy.copy(first))
    assert open_files() == opened > before
    del first
    assert second.urls() == URLS
    del second
    assert open_files() == before


def test_a_pickle_carries_the_content(manifest: Manifest) -> None:
    """It can be used when the manifest that it was made of is gone, in another job too."""
    manifest.endpoint, manifest.clusters = "http://here:8080", ("http://there:8080",)
    pickled = pickle.dumps(manifest)
    program = (
        "import pickle, sys\n"
        "manifest = pickle.load(sys.stdin.buffer)\n"
        "print(len(manifest), manifest[999].url, manifest.endpoint, *manifest.clusters)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    run = subprocess.run(command, input=pickled, capture_output=True, check=True, timeout=120)
    assert run.stdout.decode() == f"1000 {URLS[-1]} http://here:8080 http://there:8080\n"


def test_sizes_are_read_only(manifest: Manifest) -> None:
    """The memory that processes share cannot be written into."""
    with pytest.raises(TypeError, match="read-only"):
        manifest.sizes[0] = 1


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
