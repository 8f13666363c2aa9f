"""The documentation runs: README blocks, docstring examples, and names that it lists."""

from __future__ import annotations

import doctest
import importlib
import io
import multiprocessing
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import aisdatapipes
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.pictures import picture_shards, pictures

ROOT = Path(__file__).parent.parent
README = ROOT.joinpath("README.md").read_text()
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.joinpath("aisdatapipes").rglob("*.py")
    # Those of the nodes run where there is a torchdata for them: in support/nodes_suite.py; those
    # of Ray in ecosystem/test_ray_docs.py.
    if ">>> " in path.read_text() and path.parent.name not in ("nodes", "ray")
)
IMAGES = [
    "002.american-flag/002_0001.jpg",
    "002.american-flag/002_0002.jpg",
    "003.backpack/003_0001.jpg",
    "003.backpack/003_0002.jpg",
    "004.baseball-bat/004_0001.jpg",
]


@pytest.fixture(scope="module")
def documented_cluster(ais_cluster: LocalCluster, put_object: PutObject):
    """The cluster that the examples are about.

    ``caltech256`` has five images that are none, ``coco`` a shard of an empty sample, ``pets``
    real ones in class folders, and ``pets-shards`` the same in shards.
    """
    names = ("caltech256", "coco", "pets", "pets-shards")
    buckets = [ais_cluster.client().bucket(name).create() for name in names]
    images, shards, pets, pets_shards = buckets
    for name in IMAGES:
        put_object(images, name, f"the image {name}".encode())
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        for member in ("0001.jpg", "0001.cls"):
            tar.addfile(tarfile.TarInfo(member))
    put_object(shards, "train-000000.tar", shard.getvalue())
    for name, content in pictures().items():
        put_object(pets, name, content)
    for name, content in picture_shards(pictures()).items():
        put_object(pets_shards, name, content)
    yield ais_cluster
    for bucket in buckets:
        bucket.delete()


@pytest.fixture
def environment(documented_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point ``$AIS_ENDPOINT`` at that cluster."""
    monkeypatch.setenv("AIS_ENDPOINT", documented_cluster.endpoint)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    """Every example in a docstring gives what it says, against the real node."""
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testmod(module, optionflags=flags)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.fixture
def forks() -> Iterator[None]:
    """Let workers have the functions of a page, which are in no file that they could import."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.usefixtures("environment", "forks")
# torchdata's StatefulDataLoader calls it on torch 2.13 and later.
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
def test_readme_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of the README run from top to bottom, as a reader would run them."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_readme_shows_the_commands_that_the_makefile_has() -> None:
    """The commands a newcomer types are there and are the Makefile's."""
    targets = re.findall(r"^(\w+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE)
    commands = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(commands) <= set(targets)


def test_public_names_are_documented() -> None:
    """Everything exported has a docstring, and classes one with an example or a reason."""
    for name in aisdatapipes.__all__:
        assert getattr(aisdatapipes, name).__doc__, name


def test_links_of_the_readme_are_absolute() -> None:
    """They lead somewhere on a package index too; test_pages.py says that they are not dead."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("https://")] == []
