"""Instances of the filesystem: which are the same, and what of them is seen."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.context import BaseContext

import fsspec
import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader, Dataset

from aisdatapipes import Settings, errors
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

HERE = "http://127.0.0.1:1"
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(autouse=True)
def forget_instances():
    """No test finds the instances of another."""
    yield
    AISFileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"endpoint": HERE}, {"endpoint": f"{HERE}/"}),
        ({"endpoint": HERE}, {"endpoint": HERE, "settings": Settings()}),
        ({"endpoint": HERE}, {"endpoint": HERE, "provider": "ais", "token": None}),
        ({"endpoint": HERE, "provider": "s3"}, {"endpoint": HERE, "provider": "aws"}),
        ({"endpoint": HERE, "token": "a"}, {"endpoint": HERE, "settings": Settings(token="a")}),
        (
            {"endpoint": HERE, "ca_cert": "x.pem"},
            {"endpoint": HERE, "settings": {"ca_cert": "x.pem"}},
        ),
    ],
)
def test_the_same_arguments_are_one_instance(one: dict, other: dict) -> None:
    """However they are written."""
    assert AISFileSystem(**one) is AISFileSystem(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"endpoint": "http://127.0.0.1:2"}),
        ({}, {"provider": "aws"}),
        ({"token": "a"}, {"token": "b"}),
        ({"token": "a"}, {"settings": Settings(token="b")}),
        ({}, {"token": "a"}),
        ({}, {"token_file": "a"}),
        ({"ca_cert": "a"}, {"ca_cert": "b"}),
        ({}, {"client_cert": ("a", "b")}),
        ({}, {"skip_verify": True}),
        ({}, {"settings": Settings(max_retries=9)}),
        ({}, {"block_size": 2**20}),
    ],
)
def test_other_arguments_are_another_instance(one: dict, other: dict) -> None:
    """In all that matters."""
    assert AISFileSystem(**{"endpoint": HERE, **one}) != AISFileSystem(
        **{"endpoint": HERE, **other}
    )


def test_the_variable_is_read_when_the_instance_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed endpoint is another instance, and without any the error says what to set."""
    monkeypatch.setenv("AIS_ENDPOINT", HERE)
    first = fsspec.filesystem("ais")
    monkeypatch.setenv("AIS_ENDPOINT", "http://127.0.0.1:2")
    assert fsspec.filesystem("ais") is not first
    monkeypatch.delenv("AIS_ENDPOINT")
    with pytest.raises(errors.EndpointError, match="AIS_ENDPOINT"):
        fsspec.filesystem("ais")


def test_a_pickle_needs_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the same cluster, and has the token, where no variable is set."""
    monkeypatch.setenv("AIS_ENDPOINT", HERE)
    fs = fsspec.filesystem("ais", token=SECRET)
    monkeypatch.delenv("AIS_ENDPOINT")
    AISFileSystem.clear_instance_cache()
    copy = pickle.loads(pickle.dumps(fs))
    assert copy is not fs
    assert (copy.endpoint, copy.settings.token) == (HERE, SECRET)


@pytest.mark.parametrize("options", [{"token": SECRET}, {"settings": Settings(token=SECRET)}])
def test_a_token_is_not_seen(options: dict) -> None:
    """Neither in what is printed, nor in JSON, which still makes the same filesystem."""
    fs = AISFileSystem(HERE, **options, ca_cert="ca.pem", client_cert=("a", "b"))
    shown = [repr(fs), str(fs.storage_options), repr(vars(fs)), fs.to_json(), str(fs.to_dict())]
    assert not [text for text in shown if SECRET in text]
    copy = AISFileSystem.from_json(fs.to_json())
    assert isinstance(copy, AISFileSystem)
    assert (copy.endpoint, copy.settings) == (
        HERE,
        Settings(ca_cert="ca.pem", client_cert=("a", "b")),
    )
    with pytest.raises(TypeError):
        json.dumps(fs.storage_options)  # fsspec keeps it, and so do others


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"provider": "ftp"}, errors.InvalidURLError),
        ({"anon": True}, TypeError),
        ({"block_size": -1}, ValueError),
        ({"concurrency": 0}, ValueError),
        ({"token": "two words"}, ValueError),
        ({"settings": {"nonsense": 1}}, TypeError),
    ],
)
def test_bad_arguments_are_named(options: dict, error: type[Exception]) -> None:
    """Each is an error when the filesystem is made."""
    with pytest.raises(error):
        AISFileSystem(HERE, **options)


def test_too_many_arguments_are_an_error() -> None:
    """By position as well as twice."""
    with pytest.raises(TypeError, match="takes 10"):
        AISFileSystem(*[HERE] * 11)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="endpoint"):
        AISFileSystem(HERE, endpoint=HERE)  # pyright: ignore[reportCallIssue]


def test_fsspec_finds_it_by_its_scheme(ais_cluster: LocalCluster) -> None:
    """In a new process, which imports nothing else."""
    code = "import fsspec; print(fsspec.url_to_fs('ais://b/x')[0].__class__.__name__)"
    environment = {**os.environ, "AIS_ENDPOINT": ais_cluster.endpoint}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "AISFileSystem"


class Opened(Dataset):
    """Objects, by a filesystem and an open file that the parent has used before."""

    def __init__(self, fs: AISFileSystem, paths: list[str]) -> None:
        self.fs, self.paths = fs, paths
        self.file = fs.open(paths[0])
        self.file.read(1)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> bytes:
        self.file.seek(0)
        with self.fs.open(self.paths[index]) as file:
            return file.read() + self.file.read(2)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_read_after_the_parent_did(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, method: str
) -> None:
    """Whatever way they are started, an instance and an open file work in them."""
    for number in range(6):
        put_object(ais_bucket, f"{number}", b"%03d" % number)
    fs = AISFileSystem(ais_cluster.endpoint)
    dataset = Opened(fs, [f"{ais_bucket.name}/{number}" for number in range(6)])
    context: BaseContext = get_context(method)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=context)
    assert list(loader) == [b"%03d00" % number for number in range(6)]
