"""Stopping in mid-epoch and going on: everything once, in order, and nothing read twice."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISIterDataset, AISShardReader, Manifest, merge_states
from aisdatapipes.errors import StateMismatchError
from conftest import PutObject
from support.fault_rules import Ask, Rule
from support.faults import FaultProxy
from support.pairs import Pair, fill, flat, stateful
from support.tars import shard

# torchdata 0.9 calls `set_vital` on torch 2.13 and later.
pytestmark = pytest.mark.filterwarnings(
    "ignore:'set_vital' is deprecated", "ignore:This DataLoader will create"
)

COUNT = 61
STOPS = random.Random(7).sample(range(1, COUNT), 3)


@dataclass(frozen=True, eq=False, kw_only=True)
class Names(Rule):
    """Takes down which objects are asked for, one by one or in batches; changes nothing."""

    asked: set[str] = field(default_factory=set)

    def is_for(self, ask: Ask) -> bool:
        """Look at the request."""
        self.asked.update(re.findall(r'"objname": ?"(.*?)"', ask.body.decode()))
        self.asked.update(re.findall(r"GET /v1/objects/[^/]+/([^?]+)", str(ask)))
        return False


@pytest.fixture
def pairs(ais_bucket: Bucket, put_object: PutObject) -> list[Pair]:
    """What is in the bucket."""
    return fill(ais_bucket, put_object, COUNT)


@pytest.fixture
def url(ais_bucket: Bucket) -> str:
    """All of it."""
    return f"ais://{ais_bucket.name}/"


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("max_batch", [512, 1])
def test_alone(
    url: str, pairs: list[Pair], faults: FaultProxy, shuffle: bool, max_batch: int
) -> None:
    """At any stop the rest comes in order, and nothing else is asked for."""
    options: dict[str, Any] = {"shuffle": shuffle, "max_batch": max_batch}
    expected = list(AISIterDataset(client_url=faults.endpoint, urls_list=url, **options))
    assert sorted(expected) == pairs
    for stop in (*STOPS, COUNT):
        dataset = AISIterDataset(client_url=faults.endpoint, urls_list=url, **options)
        got = list(islice(dataset, stop))
        state = json.loads(json.dumps(dataset.state_dict()))
        resumed = AISIterDataset(client_url=faults.endpoint, urls_list=url, **options)
        resumed.load_state_dict(state)
        with faults.rule(Names()) as names:
            assert got + list(resumed) == expected
        assert names.asked == {name for name, _ in expected[stop:]}


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_in_a_loader(
    url: str, pairs: list[Pair], faults: FaultProxy, workers: int, shuffle: bool
) -> None:
    """StatefulDataLoader goes on with the next batch, from any step, and reads the rest only."""

    def dataset() -> AISIterDataset:
        return AISIterDataset(client_url=faults.endpoint, urls_list=url, shuffle=shuffle)

    expected = list(stateful(dataset(), workers))
    assert sorted(flat(expected)) == pairs
    for steps in (0, *(stop // 4 for stop in STOPS), len(expected)):
        loader = stateful(dataset(), workers)
        batches = iter(loader)
        got = [next(batches) for _ in range(steps)]
        state = loader.state_dict()
        del batches, loader
        resumed = stateful(dataset(), workers)
        resumed.load_state_dict(state)
        with faults.rule(Names()) as names:
            rest = list(resumed) if steps < len(expected) else []
        assert got + rest == expected
        assert names.asked == {name for name, _ in flat(rest)}


@pytest.mark.parametrize("workers", [0, 2])
def test_after_the_end_comes_the_next_epoch(
    ais_bucket: Bucket, pairs: list[Pair], workers: int
) -> None:
    """A loader stopped between epochs goes on with the whole of the next one."""
    dataset = AISIterDataset(ais_bucket, shuffle=True)
    loader = stateful(dataset, workers)
    first = list(loader)
    state = loader.state_dict()
    dataset.set_epoch(1)
    second = list(loader)
    assert sorted(flat(first)) == sorted(flat(second)) == pairs
    again = AISIterDataset(ais_bucket, shuffle=True)
    resumed = stateful(again, workers)
    resumed.load_state_dict(state)
    again.set_epoch(1)
    assert list(resumed) == second != first


def train_and_die(options: dict, workers: int, steps: int, path: str) -> None:
    """Write down what came and the state after each step, and be killed after some of them."""
    multiprocessing.set_start_method("fork", force=True)  # a fork server's would not notice
    tempfile.tempdir = str(Path(path).parent)  # as nobody tidies up after a kill
    loader = stateful(AISIterDataset(**options), workers)
    done: list[str] = []
    for step, batch in enumerate(loader, 1):
        done += [name for name, _ in batch]
        Path(f"{path}.new").write_text(json.dumps({"done": done, "loader": loader.state_dict()}))
        Path(f"{path}.new").replace(path)
        if step == steps:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_kill(
    url: str, pairs: list[Pair], faults: FaultProxy, tmp_path: Path, workers: int
) -> None:
    """What a killed process wrote to disk is enough to go on, in another process."""
    path = tmp_path / "state.json"
    options = {"client_url": faults.endpoint, "urls_list": url, "shuffle": True}
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=train_and_die, args=(options, workers, 6, str(path)))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    saved = json.loads(path.read_text())
    resumed = stateful(AISIterDataset(**options), workers)
    resumed.load_state_dict(saved["loader"])
    with faults.rule(Names()) as names:
        rest = [name for name, _ in flat(resumed)]
    assert sorted(saved["done"] + rest) == [name for name, _ in pairs]
    assert names.asked == set(rest)


@pytest.mark.parametrize(
    ("before", "after"), [((1, 2), (1, 1)), ((2, 1), (1, 2)), ((1, 0), (3, 2))]
)
def test_other_ranks_and_workers(
    ais_bucket: Bucket,
    pairs: list[Pair],
    before: tuple[int, int],
    after: tuple[int, int],
) -> None:
    """Merged, the states of all ranks go on with any number of ranks and workers, twice."""
    manifest = Manifest.build(ais_source_list=ais_bucket)
    merged, got = None, []
    for ranks, workers in (before, after, before):
        states = []
        for rank in range(ranks):
            dataset = AISIterDataset(
                manifest=manifest, shuffle=True, rank=rank, world_size=ranks, uneven="keep"
            )
            if merged:
                dataset.load_state_dict(merged)
            loader = stateful(dataset, workers)
            got += flat(loader, 3)
            states.append(loader.state_dict())
        merged = merge_states(json.loads(json.dumps(states)))
        assert len(json.dumps(merged)) < 10_000
    dataset = AISIterDataset(manifest=manifest, shuffle=True)
    dataset.load_state_dict(merged or {})
    assert sorted([*got, *dataset]) == pairs


def test_states_are_small(ais_bucket: Bucket, pairs: list[Pair]) -> None:
    """A loader's state is less than 10 KB, and JSON."""
    loader = stateful(AISIterDataset(ais_bucket, shuffle=True), 4)
    assert len(flat(loader, 3)) == 12 <= len(pairs)
    assert len(json.dumps(loader.state_dict())) < 10_000


def test_skipped_objects_are_consumed(
    url: str, pairs: list[Pair], ais_bucket: Bucket, faults: FaultProxy
) -> None:
    """The state counts them, so that they are neither asked for nor reported again."""
    options: dict[str, Any] = {
        "manifest": Manifest.build(url, client_url=faults.endpoint),
        "client_url": faults.endpoint,
        "on_error": "skip",
    }
    for number in (0, 5, 6, 20, COUNT - 1):
        ais_bucket.object(pairs[number][0]).delete()
    dataset = AISIterDataset(**options)
    assert list(islice(dataset, 4)) == pairs[1:5]
    assert dataset.state_dict()["worker"]["consumed"] == 5
    assert list(islice(dataset, 5)) == [*pairs[1:5], pairs[7]]
    assert dataset.state_dict()["worker"]["consumed"] == 8
    resumed = AISIterDataset(**options)
    resumed.load_state_dict(dataset.state_dict())
    with faults.rule(Names()) as names:
        assert list(resumed) == [*pairs[8:20], *pairs[21 : COUNT - 1]]
    assert resumed.state_dict()["worker"]["consumed"] == COUNT
    assert names.asked == {name for name, _ in pairs[8:]}
    assert resumed.skipped_urls() == [f"{url}{pairs[number][0]}" for number in (20, COUNT - 1)]


def test_another_manifest_is_refused(
    ais_bucket: Bucket, pairs: list[Pair], put_object: PutObject
) -> None:
    """An object more, and positions would mean other objects."""
    state = AISIterDataset(ais_bucket).state_dict()
    put_object(ais_bucket, "0000a", b"new")
    changed = AISIterDataset(ais_bucket)
    assert len(changed) == len(pairs) + 1
    with pytest.raises(StateMismatchError, match="make the dataset of the same sources"):
        changed.load_state_dict(state)


class Other(AISIterDataset):
    """Another class."""


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("make", "options", "field"),
    [(Other, {}, "dataset"), (AISIterDataset, {"seed": 1}, "seed")],
)
def test_another_class_or_seed_is_refused(
    ais_bucket: Bucket, make: type[AISIterDataset], options: dict, field: str
) -> None:
    """The message names the field."""
    state = AISIterDataset(ais_bucket).state_dict()
    with pytest.raises(StateMismatchError, match=f"the state is of {field} "):
        make(ais_bucket, **options).load_state_dict(state)


def key_of(found: tuple[str, Any]) -> str:
    """What names a sample."""
    return found[0]


def test_many_shards_with_full_shuffle_buffers(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Their merged state is less than 10 KB, and each goes on with the sample that came next."""
    for number in range(8):
        put_object(ais_bucket, f"{number}.tar", shard(400 * number, 400))

    def rank_of(rank: int, world_size: int) -> AISShardReader[str]:
        options: dict[str, Any] = {"shuffle": True, "shuffle_buffer": 200, "uneven": "keep"}
        return AISShardReader(
            ais_bucket, transform=key_of, rank=rank, world_size=world_size, **options
        )

    ranks = [rank_of(rank, 8) for rank in range(8)]
    heads = [list(islice(dataset, 150)) for dataset in ranks]
    merged = json.loads(json.dumps(merge_states([dataset.state_dict() for dataset in ranks])))
    assert len(json.dumps(merged)) < 10_000
    for world_size in (8, 3):
        tails = []
        for rank in range(world_size):
            resumed = rank_of(rank, world_size)
            resumed.load_state_dict(merged)
            tails.append(list(resumed))
        assert sorted(itertools.chain(*heads, *tails)) == [
            f"{number:04d}" for number in range(3200)
        ]
        if world_size == 8:
            wholes = [list(rank_of(rank, 8)) for rank in range(8)]
            assert [head + tail for head, tail in zip(heads, tails, strict=True)] == wholes
