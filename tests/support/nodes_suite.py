"""The tests of the nodes; `test_nodes` runs them, where torchdata has ``torchdata.nodes``."""

from __future__ import annotations

import doctest
import gc
import importlib
import pickle
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from aistore.sdk import Bucket
from torchdata.nodes import (  # pyright: ignore[reportMissingImports]
    Batcher,
    IterableWrapper,
    Loader,
    MultiNodeWeightedSampler,
    ParallelMapper,
    Prefetcher,
    StopCriteria,
)

from aisdatapipes.errors import ObjectNotFoundError, StateMismatchError
from aisdatapipes.nodes import AISLister, AISLoader, AISSamples
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import shard
from test_docs import documented_cluster, environment  # noqa: F401

# A loader of torchdata and its iterator refer to each other, so Python's collector ends a graph
# that was given up, its sockets before what would close them, or after.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

COUNT = 97
SHARDS, PER_SHARD = 5, 7


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Nothing is left for the collector behind a test."""
    yield
    gc.collect()


@pytest.fixture
def prefix(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A bucket of objects that hold their names below ``objects/``, and of shards."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    for number in range(COUNT):
        put_object(ais_bucket, f"objects/{number:03d}", f"{number:03d}".encode())
    for number in range(SHARDS):
        put_object(ais_bucket, f"shards/{number}.tar", shard(PER_SHARD * number, PER_SHARD))
    return f"ais://{ais_bucket.name}/"


def lister(prefix: str) -> AISLister:
    """URLs, in another order each epoch."""
    return AISLister(f"{prefix}objects/", shuffle=True)


def loader(prefix: str) -> AISLoader:
    """Objects, in another order each epoch."""
    return AISLoader(lister(prefix))


def decoded(prefix: str) -> Prefetcher:
    """Batches that several threads make and another one fetches ahead."""
    pairs = ParallelMapper(loader(prefix), lambda item: item[1], num_workers=2, method="thread")
    return Prefetcher(Batcher(pairs, 4, drop_last=False), prefetch_factor=3)


def behind_a_prefetcher(prefix: str) -> AISLoader:
    """Objects of URLs that are themselves fetched ahead, with a state at every fifth."""
    return AISLoader(Prefetcher(lister(prefix), prefetch_factor=8, snapshot_frequency=5))


def samples(prefix: str) -> AISSamples:
    """Samples of shards, shuffled."""
    return AISSamples(f"{prefix}shards/", shuffle=True, shuffle_buffer=5)


def mixed(prefix: str) -> Prefetcher:
    """Two sources, drawn by weight until both have ended."""
    sources = {"objects": loader(prefix), "samples": samples(prefix)}
    return Prefetcher(
        MultiNodeWeightedSampler(
            sources,
            {"objects": 2.0, "samples": 1.0},
            StopCriteria.CYCLE_UNTIL_ALL_DATASETS_EXHAUSTED,
        ),
        prefetch_factor=4,
    )


GRAPHS: list[Callable[[str], Any]] = [
    lister,
    loader,
    decoded,
    behind_a_prefetcher,
    samples,
    lambda prefix: Batcher(samples(prefix), 3, drop_last=False),
    mixed,
]


@pytest.mark.parametrize("graph", GRAPHS)
def test_resume_is_exact(prefix: str, graph: Callable[[str], Any]) -> None:
    """Wherever it stops, the rest is what comes without a stop, and so is the next epoch."""
    whole = Loader(graph(prefix))
    first, second = list(whole), list(whole)
    assert first
    assert first != second
    for stop in [0, 1, len(first), *random.Random(3).sample(range(2, len(first)), 3)]:
        begun = Loader(graph(prefix))
        assert list(islice(begun, stop)) == first[:stop]
        resumed = Loader(graph(prefix))
        resumed.load_state_dict(pickle.loads(pickle.dumps(begun.state_dict())))
        if stop < len(first):
            assert list(resumed) == first[stop:]
        assert list(resumed) == second


def test_every_sample_is_read_once(prefix: str) -> None:
    """An epoch is all of it."""
    everything = sorted(f"{number:03d}".encode() for number in range(COUNT))
    objects: Any = Loader(loader(prefix))
    assert sorted(content for _, content in objects) == everything
    in_shards: Any = Loader(samples(prefix))
    keys = [basename for basename, _ in in_shards]
    assert len(set(keys)) == len(keys) == SHARDS * PER_SHARD


def test_ranks_share(prefix: str) -> None:
    """The slices of all ranks are everything, and equally long."""
    ranks = [
        list(Loader(AISLister(f"{prefix}objects/", rank=rank, world_size=3, uneven="drop")))
        for rank in range(3)
    ]
    assert {len(urls) for urls in ranks} == {COUNT // 3}
    assert len({url for urls in ranks for url in urls}) == COUNT // 3 * 3


def test_ranks_may_begin_unequally_often(prefix: str) -> None:
    """Everything comes once in every epoch, also after one rank looked at it; in new orders."""
    sharding: dict[str, Any] = {"world_size": 2, "uneven": "keep", "shuffle": True}
    loaders = [Loader(AISLister(f"{prefix}objects/", rank=rank, **sharding)) for rank in (0, 1)]
    orders = set()
    for _ in range(3):
        next(iter(loaders[0]))
        urls = [url for one in loaders for url in one]
        assert len(set(urls)) == len(urls) == COUNT
        orders.add(tuple(urls))
    assert len(orders) == 3


def test_what_was_read_is_not_read_again(prefix: str) -> None:
    """To resume, the loader passes over URLs, and requests no object of them."""
    begun = Loader(loader(prefix))
    assert len(list(islice(begun, 60))) == 60
    node = loader(prefix)
    resumed = Loader(node)
    resumed.load_state_dict(begun.state_dict())
    assert len(list(resumed)) == node.counters().objects == COUNT - 60


def test_skipped_objects_count_as_read(prefix: str) -> None:
    """What ``on_error`` leaves out is not tried again after a resume."""
    urls = list(Loader(AISLister(f"{prefix}objects/")))[:6]
    urls[2:4] = [f"{prefix}objects/no", f"{prefix}objects/none"]

    def skipping() -> AISLoader:
        return AISLoader(IterableWrapper(urls), on_error="skip")

    begun = Loader(skipping())
    assert [url for url, _ in islice(begun, 3)] == [*urls[:2], urls[4]]
    node = skipping()
    resumed: Any = Loader(node)
    resumed.load_state_dict(begun.state_dict())
    assert [url for url, _ in resumed] == urls[5:]
    assert node.skipped_urls() == []
    with pytest.raises(ObjectNotFoundError, match="no object 'objects/no'"):
        list(Loader(AISLoader(IterableWrapper(urls))))


def test_bad_arguments_and_states(prefix: str) -> None:
    """Each error says what to do."""
    with pytest.raises(ValueError, match="give either urls_list= or manifest="):
        AISLister()
    with pytest.raises(TypeError, match="AISLister got an unexpected keyword argument 'parts'"):
        AISLister(prefix, parts=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="AISLoader got an unexpected keyword argument 'batch'"):
        AISLoader(lister(prefix), batch=3)  # pyright: ignore[reportCallIssue]
    begun = loader(prefix)
    assert len(list(islice(begun, 20))) == 20
    fewer = AISLoader(AISLister(f"{prefix}objects/00", shuffle=True))
    with pytest.raises(StateMismatchError, match="the state is of manifest"):
        fewer.reset(begun.state_dict())
    state = {"source": {"_num_yielded": 0}, "consumed": 20}
    with pytest.raises(StateMismatchError, match="20 URLs were read where the source has 3"):
        AISLoader(IterableWrapper(["ais://b/o"] * 3)).reset(state)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", ["", ".dataset_node", ".lister", ".loader"])
def test_docstring_examples(name: str) -> None:
    """Every example in a docstring of the nodes gives what it says."""
    results = doctest.testmod(importlib.import_module(f"aisdatapipes.nodes{name}"))
    assert results.attempted
    assert not results.failed
