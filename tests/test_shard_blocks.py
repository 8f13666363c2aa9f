"""Shard blocks: every sample once, in another order each epoch, few ranges to a batch."""

from __future__ import annotations

import random
from itertools import chain, pairwise
from typing import Any

import pytest
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardMapDataset, Manifest, ShardBlockSampler
from aisdatapipes.testing import LocalCluster

COUNT = 35


@pytest.fixture
def dataset(ais_cluster: LocalCluster, shard_urls: list[str]) -> AISShardMapDataset:
    """Of 35 samples in five shards of seven."""
    return AISShardMapDataset(
        manifest=Manifest.from_urls(shard_urls), client_url=ais_cluster.endpoint
    )


@pytest.mark.parametrize("run", [1, 3, 100])
@pytest.mark.parametrize("block_shards", [1, 2, 9])
def test_every_sample_comes_once(dataset: AISShardMapDataset, run: int, block_shards: int) -> None:
    """In each epoch in another order, which the seed makes."""
    sampler = ShardBlockSampler(dataset, block_shards, run)
    epochs = [list(sampler) for _ in range(3)]
    assert all(sorted(one) == list(range(COUNT)) for one in epochs)
    assert len(set(map(tuple, epochs))) == 3
    assert list(ShardBlockSampler(dataset, block_shards, run)) == epochs[0]
    assert list(ShardBlockSampler(dataset, block_shards, run, seed=1)) != epochs[0]
    sampler.set_epoch(1)
    assert list(sampler) == epochs[1]


def test_a_block_has_the_samples_of_its_shards(dataset: AISShardMapDataset) -> None:
    """Two shards at a time; neighbours stay together in runs, at most three of them."""
    order = list(ShardBlockSampler(dataset, 2, 3))
    blocks = [order[:14], order[14:28], order[28:]]
    assert all(len({sample // 7 for sample in block}) == len(block) // 7 for block in blocks)
    breaks = sum(after != before + 1 for before, after in pairwise(order))
    assert COUNT // 3 <= breaks < COUNT - 10


# torchdata 0.9 calls it on torch 2.13 and later.
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
@pytest.mark.parametrize("loader_class", [DataLoader, StatefulDataLoader])
@pytest.mark.parametrize(("batch_size", "is_kept"), [(None, True), (5, False)])
def test_loaders_with_workers_skip_no_epoch(
    dataset: AISShardMapDataset, loader_class: Any, batch_size: int | None, *, is_kept: bool
) -> None:
    """They begin two passes, of which they use one: the next pass is the next epoch all the same.

    The samples are numbers, so that only the order is read.
    """
    sampler, expected = ShardBlockSampler(dataset), ShardBlockSampler(dataset)
    loader = loader_class(
        range(COUNT),
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=list if batch_size else None,
        num_workers=1,
        multiprocessing_context="fork",
        persistent_workers=is_kept,
    )
    for _ in range(2):
        found = list(chain.from_iterable(loader)) if batch_size else list(loader)
        assert found == list(expected)


@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
@pytest.mark.parametrize("world_size", [2, 3, 4, 50])
def test_ranks_have_parts(dataset: AISShardMapDataset, uneven: Any, world_size: int) -> None:
    """All together everything, or all that can be given equally; of equal sizes, but for keep."""
    samplers = [
        ShardBlockSampler(dataset, 2, 3, rank=rank, world_size=world_size, uneven=uneven)
        for rank in range(world_size)
    ]
    for epoch in (0, 4):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        parts = [list(sampler) for sampler in samplers]
        assert list(map(len, parts)) == list(map(len, samplers))
        found = list(chain.from_iterable(parts))
        expected = {"pad": -(-COUNT // world_size), "drop": COUNT // world_size}.get(uneven)
        if expected is not None:
            assert {*map(len, parts)} == {expected}
        if uneven == "drop":
            assert len(set(found)) == len(found)
        else:
            assert set(found) == set(range(COUNT))
    assert [list(sampler) for sampler in samplers] == parts  # as long as set_epoch says nothing


def numbers(batch: Any) -> list[int]:
    """Return the numbers of samples."""
    return [int(basename) for basename, _ in batch]


def test_a_batch_takes_few_ranges(dataset: AISShardMapDataset) -> None:
    """Each run is one range, and all of a batch are one request."""
    sampler = ShardBlockSampler(dataset, 5, 7)
    before = dataset.counters().requests
    loader = DataLoader(dataset, batch_size=35, sampler=sampler, collate_fn=list)
    (batch,) = loader
    assert sorted(numbers(batch)) == list(range(COUNT))
    assert dataset.counters().requests == before + 1


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_resumes_in_mid_epoch(dataset: AISShardMapDataset, num_workers: int) -> None:
    """In the epoch that it was in, and goes on to the next one after it."""

    def make() -> StatefulDataLoader:
        sampler = ShardBlockSampler(dataset, 2, 3)
        return StatefulDataLoader(
            dataset, 4, sampler=sampler, num_workers=num_workers, collate_fn=list
        )

    loader = make()
    list(loader)
    batches = iter(loader)
    begun = [numbers(next(batches)) for _ in range(3)]
    state = loader.state_dict()
    rest = list(map(numbers, batches))
    following = list(map(numbers, loader))
    again = make()
    again.load_state_dict(state)
    assert list(map(numbers, again)) == rest
    assert sorted(chain.from_iterable(begun + rest)) == list(range(COUNT))
    assert list(map(numbers, again)) == following


@pytest.mark.parametrize("wrong", [{"block_shards": 0}, {"run": 0}, {"uneven": "some"}])
def test_numbers_out_of_range(dataset: AISShardMapDataset, wrong: Any) -> None:
    """They are refused when the sampler is made."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShardBlockSampler(dataset, **wrong)
    with pytest.raises(ValueError, match="epoch is -1"):
        ShardBlockSampler(dataset).set_epoch(-1)


def test_random_worlds(dataset: AISShardMapDataset) -> None:
    """Of any numbers, the parts of ranks are one after another in the order of one rank."""
    generator = random.Random(5)
    for _ in range(30):
        options: dict[str, Any] = {
            "block_shards": generator.randint(1, 6),
            "run": generator.randint(1, 8),
            "seed": generator.randint(0, 9),
        }
        alone = list(ShardBlockSampler(dataset, **options, rank=0, world_size=1))
        size = generator.randint(1, 40)
        parts = [
            list(ShardBlockSampler(dataset, **options, rank=rank, world_size=size, uneven="keep"))
            for rank in range(size)
        ]
        assert list(chain.from_iterable(parts)) == alone
