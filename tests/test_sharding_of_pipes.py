"""Sharding of pipes: who reads the same as others is told, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch.utils.data import DataLoader, IterableDataset, IterDataPipe
from torch.utils.data.datapipes.iter import IterableWrapper
from torch.utils.data.graph_settings import apply_sharding

from aisdatapipes import AISFileLister
from aisdatapipes.testing import LocalCluster
from aisdatapipes.types import Bucket
from conftest import PutObject
from support.jobs import run_ranks
from support.tars import shard

COUNT = 7


class Hidden(IterableDataset[Any]):
    """A container that torch's DataLoader does not look into."""

    def __init__(self, pipe: IterDataPipe[Any]) -> None:
        self.pipe = pipe

    def __iter__(self) -> Iterator[Any]:
        return iter(self.pipe)


def name_of(item: Any) -> str:
    """The URL of an object, or the key of a sample."""
    return item["__key__"] if isinstance(item, dict) else item[0]


def objects(urls: IterDataPipe[str]) -> IterDataPipe[str]:
    """Load objects."""
    return urls.load_files_by_ais().map(name_of)


def samples(urls: IterDataPipe[str]) -> IterDataPipe[str]:
    """Load samples."""
    return urls.load_samples_by_ais().map(name_of)


PIPES: dict[str, Callable[[list[str]], IterDataPipe[str]]] = {
    "objects": lambda urls: objects(AISFileLister(urls)),
    "objects, filtered": lambda urls: objects(AISFileLister(urls).sharding_filter()),
    "objects, filtered behind": lambda urls: objects(AISFileLister(urls)).sharding_filter(),
    "samples": lambda urls: samples(AISFileLister(urls)),
    "samples, filtered": lambda urls: samples(AISFileLister(urls).sharding_filter()),
    "samples, filtered behind": lambda urls: samples(AISFileLister(urls)).sharding_filter(),
}


@pytest.fixture
def prefixes(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """Shards of one sample each, which are objects too."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    for number in range(COUNT):
        put_object(ais_bucket, f"{number}.tar", shard(number, 1))
    return [f"ais://{ais_bucket.name}"]


def told(dataset: Any, workers: int) -> tuple[list[str], list[str]]:
    """Return what a loader gives, and what its workers, or this process, warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loader = DataLoader(
            dataset, batch_size=None, num_workers=workers, worker_init_fn=_raise_warnings
        )
        try:
            found = sorted(loader)
        except UserWarning as error:
            return [], [str(error)]
    return found, [str(one.message) for one in caught]


def _raise_warnings(_worker: int) -> None:
    warnings.simplefilter("error")


@pytest.mark.parametrize("kind", PIPES)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("hidden", [False, True])
def test_workers_that_read_the_same(
    prefixes: list[str], kind: str, workers: int, hidden: bool
) -> None:
    """They warn of it, and say what to do, unless a filter was told; then all comes once."""
    pipe = PIPES[kind](prefixes)
    found, messages = told(Hidden(pipe) if hidden else pipe, workers)
    if workers < 2 or ("filtered" in kind and not hidden):
        assert len(found) == len(set(found)) == COUNT
        assert not messages
    else:
        advice = "nobody has told its sharding_filter" if "filtered" in kind else "put .sharding_"
        assert advice in messages[0]
        assert "each of 1 rank(s) with 2 worker(s)" in messages[0]


def _read_in_rank(prefixes: list[str], kind: str) -> tuple[list[str], list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipe = PIPES[kind](prefixes)
        alone = [*pipe, *pipe]
    assert len(alone) == 2 * COUNT
    return told(PIPES[kind](prefixes), 0)[0], [str(one.message) for one in caught]


@pytest.mark.parametrize("kind", ["objects, filtered", "samples, filtered behind"])
def test_ranks_that_read_the_same(prefixes: list[str], kind: str) -> None:
    """Without a DataLoader nobody tells the filter, which is warned of; with one, all is well."""
    (one, warned), (two, warned_too) = run_ranks(2, _read_in_rank, prefixes, kind)
    assert len(warned) == len(warned_too) == 1
    assert "each of 2 rank(s) with 1 worker(s)" in warned[0]
    assert len({*one, *two}) == len(one) + len(two) == COUNT


def test_a_filter_that_the_user_told(prefixes: list[str]) -> None:
    """What torch offers for it is enough."""
    pipe = PIPES["objects, filtered"](prefixes)
    apply_sharding(pipe, 2, 1)
    found, messages = told(Hidden(pipe), 0)
    assert len(found) == COUNT // 2
    assert not messages


@pytest.mark.parametrize("kind", ["objects, filtered", "samples, filtered"])
def test_a_worker_with_nothing_to_read(
    prefixes: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """The log says so, and nothing is said of those that have something."""
    monkeypatch.setenv("WORLD_SIZE", str(COUNT + 1))
    for part, messages in ((0, 0), (COUNT, 1)):
        monkeypatch.setenv("RANK", str(part))
        pipe = PIPES[kind](prefixes)
        apply_sharding(pipe, COUNT + 1, part)
        caplog.clear()
        assert len(list(pipe)) == 1 - messages
        assert [record.levelname for record in caplog.records] == ["WARNING"] * messages
        assert all("has nothing to read" in record.getMessage() for record in caplog.records)


def test_pipes_without_a_lister(prefixes: list[str]) -> None:
    """The URLs may come from anywhere."""
    urls = list(AISFileLister(prefixes))
    found, messages = told(objects(IterableWrapper(urls).sharding_filter()), 2)
    assert len(found) == COUNT
    assert not messages
