"""Parsers under random and damaged input; `fuzz` says what the laws are.

``make fuzz MINUTES=n`` looks for what breaks each of them, for so long; every run of the tests
tries a few cases.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISIterDataset, AISShardReader
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from fuzz import archives, urls
from fuzz.batches import broken_batches_lose_nothing
from fuzz.hunting import hunt
from fuzz.states import changed_states_are_exact_or_refused
from support.faults import FaultProxy
from support.tars import shard

MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
SEED = int(os.environ.get("FUZZ_SEED", random.randrange(10**9) if MINUTES else 0))

pytestmark = pytest.mark.timeout(60 * MINUTES + 180)


@pytest.fixture(autouse=True)
def tell(request: pytest.FixtureRequest) -> Any:
    """Say how often a law has held, where it is for that that the tests run."""
    yield
    if MINUTES:
        capture: Any = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n{request.node.name}: {request.node.stash.get(CASES, 0)} cases")  # noqa: T201


CASES = pytest.StashKey[int]()


@pytest.mark.parametrize(
    "law",
    [
        urls.urls_are_parsed_or_refused,
        archives.damaged_tars_are_read_or_refused,
        archives.damaged_gzips_are_read_or_refused,
        archives.samples_are_those_of_webdataset,
    ],
    ids=lambda law: law.__name__,
)
def test_parsers(law: Callable[[], None], request: pytest.FixtureRequest) -> None:
    """Each law says what the right result is."""
    request.node.stash[CASES] = hunt(law, SEED, MINUTES)


def test_batches(
    faults: FaultProxy, ais_bucket: Bucket, put_object: PutObject, request: pytest.FixtureRequest
) -> None:
    """Whatever becomes of the entries of a batch, each object comes, once, right and in order."""
    law = broken_batches_lose_nothing(faults, ais_bucket, put_object)
    request.node.stash[CASES] = hunt(law, SEED, MINUTES, cases=20)


def objects(url: str, cluster: LocalCluster, is_shuffled: bool) -> AISIterDataset[Any]:
    """A dataset of objects."""
    return AISIterDataset(urls_list=url, client_url=cluster.endpoint, shuffle=is_shuffled)


def shards(url: str, cluster: LocalCluster, is_shuffled: bool) -> AISShardReader[Any]:
    """A dataset of samples in shards."""
    return AISShardReader(
        urls_list=url,
        client_url=cluster.endpoint,
        shuffle=is_shuffled,
        shuffle_buffer=3,
        transform=lambda sample: (sample[0], sample[1]["jpg"]),
    )


@pytest.mark.parametrize("make", [objects, shards])
def test_states(
    make: Callable[..., Any],
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    request: pytest.FixtureRequest,
) -> None:
    """A state that was changed is refused, or what is left by it is read as it has to be."""
    for number in range(4):
        put_object(ais_bucket, f"{number}.tar", shard(5 * number, 5))
    dataset = partial(make, f"ais://{ais_bucket.name}/", ais_cluster)
    samples = [sample for sample in dataset(False)]  # noqa: C416 - list() asks for len()
    law = changed_states_are_exact_or_refused(dataset, samples)
    request.node.stash[CASES] = hunt(law, SEED, MINUTES, cases=25)
