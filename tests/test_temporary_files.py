"""Temporary files: whatever becomes of them or their makers, nothing stays, nothing breaks."""

from __future__ import annotations

import ast
import copy
import gc
import logging
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

import aisdatapipes
from aisdatapipes import AISFileLoader, AISIterDataset, AISShardReader
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.processes import open_files
from support.tars import shard

COUNT = 12


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, apart from what other programs leave behind."""
    root = tmp_path / "temporary"
    root.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root))
    monkeypatch.setenv("TMPDIR", str(root))
    return root


@pytest.fixture
def bucket_url(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The URL of a bucket with `COUNT` shards of one sample each, at ``$AIS_ENDPOINT``."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    for number in range(COUNT):
        put_object(ais_bucket, f"{number:02d}", shard(number, 1))
    return f"ais://{ais_bucket.name}/"


def urls_under(bucket_url: str) -> list[str]:
    """Return the URLs of the bucket's objects, and of one that is not there."""
    return [f"{bucket_url}{number:02d}" for number in range(COUNT)] + [f"{bucket_url}gone"]


ENDLESS = """
import os, sys, time
from torch.utils.data import DataLoader
import aisdatapipes
from aisdatapipes import AISFileLoader, AISIterDataset, AISShardReader
url, workers = sys.argv[1], int(sys.argv[2])
datasets = [
    AISIterDataset(urls_list=url),
    AISShardReader(urls_list=url, rank=0, world_size=1),
    AISFileLoader([url + "00", url + "gone", url + "01"], on_error="skip", max_batch=1),
]
loaders = [DataLoader(one, batch_size=None, num_workers=workers) for one in datasets]
len(datasets[1])
iterators = [iter(one) for one in loaders]
for one in iterators:
    next(one)
print("ready", flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing(
    bucket_url: str, root: Path, workers: int, number: signal.Signals
) -> None:
    """A process that is ended in mid-iteration, and its workers, leave no file of ours."""
    command = [sys.executable, "-W", "ignore", "-c", ENDLESS, bucket_url, str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == -number
    assert list(root.glob("aisdatapipes*")) == []


def clean(root: Path) -> None:
    """Do what a cleaner of temporary folders does."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


READERS: dict[str, Callable[[str], AISFileLoader | AISIterDataset | AISShardReader]] = {
    "loader": lambda url: AISFileLoader(urls_under(url), on_error="skip", max_batch=1),
    "dataset": lambda url: AISIterDataset(urls_list=url),
    "shards": lambda url: AISShardReader(urls_list=url, rank=0, world_size=1),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("start_method", [None, "fork", "forkserver"])
def test_a_cleaner_changes_nothing(
    bucket_url: str, root: Path, kind: str, start_method: str | None
) -> None:
    """All under ``$TMPDIR`` is deleted in mid-iteration: the rest comes, counted, and again."""
    reader = READERS[kind](bucket_url)
    iterator = iter(reader)
    assert len(list(islice(iterator, 2))) == 2
    clean(root)
    assert len(list(iterator)) == COUNT - 2
    loader = DataLoader(
        reader,
        batch_size=None,
        num_workers=1 if start_method else 0,
        multiprocessing_context=start_method,
    )
    assert len(list(loader)) == COUNT
    assert reader.counters().objects == 2 * COUNT
    assert reader.skipped_urls() == [f"{bucket_url}gone"] * (2 if kind == "loader" else 0)


COPIES: dict[str, Callable[[object], object]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda reader: pickle.loads(pickle.dumps(reader)),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_outlives_its_original(bucket_url: str, root: Path, kind: str, way: str) -> None:
    """The original goes while the copy is read: nothing is missing, nothing lies about."""
    original = READERS[kind](bucket_url)
    duplicate = COPIES[way](original)
    assert isinstance(duplicate, type(original))
    assert len(list(islice(original, 1))) == 1
    iterator = iter(duplicate)
    first = list(islice(iterator, 1))
    del original
    gc.collect()
    assert len([*first, *iterator]) == COUNT
    assert duplicate.counters().objects == COUNT
    assert list(root.glob("aisdatapipes*")) == []


def test_many_readers_leave_no_open_files(
    bucket_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a reader has open is closed with it."""
    # Captured records have the errors, and with their tracebacks the readers.
    caplog.set_level(logging.CRITICAL, "aisdatapipes")

    def read(kind: str) -> None:
        reader = READERS[kind](bucket_url)
        assert len(list(copy.deepcopy(reader))) == len(list(reader))

    for kind in READERS:
        read(kind)
    before = open_files()
    for kind in [*READERS] * 3:
        read(kind)
    assert open_files() <= before


NAMED = {"mkdtemp", "mkstemp", "mktemp", "NamedTemporaryFile", "TemporaryDirectory", "gettempdir"}
PACKAGE = Path(aisdatapipes.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "testing" not in path.parts)


def named_temporary_files(path: Path) -> list[int]:
    """Return the lines of a module that put something with a name into the temporary folder."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in NAMED
        and "dir" not in {keyword.arg for keyword in node.keywords}
    ]


def test_nothing_has_a_name_in_the_temporary_folder() -> None:
    """So nothing can be left there: all that the package makes is removed before it is used."""
    found = {str(path): lines for path in MODULES if (lines := named_temporary_files(path))}
    assert found == {}
