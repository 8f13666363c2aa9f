"""Batches bounded in bytes, on a real node: what is in them, for one rank and for several."""

from __future__ import annotations

import logging
from typing import get_args

import pytest
import torch
from aistore.sdk import Bucket, Client
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from aisdatapipes import AISMapDataset, DynamicBatchSampler, Manifest
from aisdatapipes.distributed.partition import Uneven
from conftest import PutObject
from support.faults import FaultProxy

SIZES = [30, 50, 20, 100, 0, 70, 10, 130, 60, 40, 5]
HEADS = "HEAD /v1/objects/.*pid="


@pytest.fixture
def dataset(ais_bucket: Bucket, put_object: PutObject) -> AISMapDataset:
    """A dataset of objects of `SIZES`."""
    for number, size in enumerate(SIZES):
        put_object(ais_bucket, f"{number:02}", bytes(size))
    return AISMapDataset(ais_bucket)


class Sized:
    """Objects of which nothing but the sizes matters."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.manifest = Manifest.from_urls(f"ais://b/{number}" for number in range(len(sizes)))

    def object_sizes(self) -> list[int]:
        """Return the sizes, as a dataset does."""
        return self.sizes


def test_batches_keep_within_the_bytes(dataset: AISMapDataset) -> None:
    """Each has as many samples as fit, in order; a loader reads each by one GetBatch."""
    sampler = DynamicBatchSampler(dataset, 100)
    expected = [[0, 1, 2], [3, 4], [5, 6], [8, 9], [10]]
    assert list(sampler) == expected
    assert len(sampler) == 5
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=list)
    read = [[int(name) for name, _ in batch] for batch in loader]
    assert read == expected
    assert all(sum(SIZES[index] for index in batch) <= 100 for batch in read)
    assert dataset.counters().requests == 5


def test_what_is_too_large_is_left_out_and_named(
    dataset: AISMapDataset, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, however many epochs there are, and listed."""
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        sampler = DynamicBatchSampler(dataset, 100)
        assert list(sampler) == list(sampler)
    assert sampler.oversized == [dataset.manifest[7].url]
    assert [one.getMessage() for one in caplog.records if "130" in one.getMessage()] == []
    (record,) = caplog.records
    assert record.getMessage().startswith(f"left out of all batches: {dataset.manifest[7].url} ")


def test_what_is_too_large_can_be_a_batch(dataset: AISMapDataset) -> None:
    """With ``allow_oversized_samples`` it stands by itself, and nothing is left out."""
    sampler = DynamicBatchSampler(dataset, 60, allow_oversized_samples=True)
    assert list(sampler) == [[0], [1], [3], [5], [2, 4, 6], [7], [8], [9, 10]]
    assert len(sampler) == 8


@pytest.mark.parametrize(("factor", "batches"), [(0.8, 4), (0.05, 4), (0.04, 5)])
def test_a_last_batch_that_is_not_full_can_be_dropped(
    dataset: AISMapDataset, factor: float, batches: int
) -> None:
    """With ``drop_last`` it is kept if it has more than that part of the bytes."""
    sampler = DynamicBatchSampler(dataset, 100, drop_last=True, saturation_factor=factor)
    assert len(list(sampler)) == len(sampler) == batches


def test_every_epoch_has_its_order(dataset: AISMapDataset) -> None:
    """One iteration after another is the next epoch, `set_epoch` sets it, a seed repeats it."""
    sampler = DynamicBatchSampler(dataset, 100, shuffle=True, seed=5)
    epochs = [list(sampler) for _ in range(3)]
    samples = [sorted(index for batch in epoch for index in batch) for epoch in epochs]
    assert samples == [[index for index in range(len(SIZES)) if index != 7]] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    again = DynamicBatchSampler(dataset, 100, shuffle=True, seed=5)
    again.set_epoch(1)
    assert len(again) == len(epochs[1])
    assert list(again) == epochs[1]
    assert list(again) == epochs[2]
    with pytest.raises(ValueError, match="epochs count from 0"):
        again.set_epoch(-1)


@given(
    sizes=st.lists(st.integers(0, 120), max_size=60),
    world_size=st.integers(1, 4),
    uneven=st.sampled_from(get_args(Uneven)),
    shuffle=st.booleans(),
)
def test_ranks_share_the_batches(
    sizes: list[int], world_size: int, uneven: Uneven, shuffle: bool
) -> None:
    """No batch is too large, all ranks step equally often, and every sample comes once.

    But for what evens out the ranks: with ``"pad"`` batches that come again, with ``"drop"``
    the last ones.
    """
    of_ranks = []
    for rank in range(world_size):
        sampler = DynamicBatchSampler(
            Sized(sizes),
            100,
            allow_oversized_samples=True,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
            uneven=uneven,
        )
        of_ranks.append(list(sampler))
        assert len(sampler) == len(of_ranks[-1])
    batches = [tuple(batch) for rank in of_ranks for batch in rank]
    assert all(len(batch) == 1 or sum(sizes[index] for index in batch) <= 100 for batch in batches)
    if uneven != "keep":
        assert len({len(rank) for rank in of_ranks}) == 1
    seen = [index for batch in set(batches) for index in batch]
    assert len(seen) == len(set(seen))
    if uneven != "drop":
        assert set(seen) == set(range(len(sizes)))
    if uneven != "pad":
        assert len(batches) == len(set(batches))


def test_sizes_that_no_listing_told(
    dataset: AISMapDataset, ais_bucket: Bucket, faults: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """They are asked for once; what is gone is logged, kept, and noticed when it is read."""
    bucket = Client(f"{faults.endpoint}/").bucket(ais_bucket.name)
    names = [*dataset.manifest.names(), "gone"]
    group = AISMapDataset(bucket.objects(obj_names=names), on_error="skip")
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        sampler = DynamicBatchSampler(group, 100)
    assert any("no size of 'gone'" in one.getMessage() for one in caplog.records)
    for _epoch in range(2):
        assert list(sampler) == [[0, 1, 2], [3, 4], [5, 6], [8, 9], [10, 11]]
    assert faults.count(HEADS) == len(names) + 1  # what is gone twice, until it is believed
    assert len(group.__getitems__([10, 11])) == 1
    assert group.skipped_urls() == [group.manifest[11].url]


def test_ranks_stay_in_one_epoch(dataset: AISMapDataset) -> None:
    """However often one of them iterates: each has its batches again, in another order."""
    first, second = (
        DynamicBatchSampler(dataset, 100, shuffle=True, rank=rank, world_size=2, uneven="keep")
        for rank in range(2)
    )
    peeked = list(first)
    again = list(first)
    assert again != peeked
    assert sorted(again) == sorted(peeked)
    indices = [index for batch in (*again, *second) for index in batch]
    assert len(indices) == len(set(indices))
    first.set_epoch(1)
    assert list(first) != peeked


def test_objects_of_the_sdk_have_their_sizes(dataset: AISMapDataset) -> None:
    """Code written for AIStore's own datasets finds the sizes where they were."""
    objects = dataset.get_obj_list()
    assert [one.name for one in objects] == dataset.manifest.names()
    sizes = [one.props_cached.size for one in objects if one.props_cached]
    assert sizes == SIZES
    assert objects[0].get_reader().read_all() == bytes(30)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"max_batch_size": 0}, "max_batch_size is 0"),
        ({"max_batch_size": 9, "saturation_factor": 2}, "saturation_factor is 2"),
        ({"max_batch_size": 9, "uneven": "even"}, "uneven is 'even'"),
        ({"max_batch_size": 9, "rank": 1}, "rank= and world_size="),
    ],
)
def test_nonsense_is_refused(wrong: dict, reason: str) -> None:
    """A number out of its range, or an unknown word, is named at once."""
    with pytest.raises(ValueError, match=reason):
        DynamicBatchSampler(Sized([1]), **wrong)


def test_a_million_samples_are_packed_quickly() -> None:
    """What is done for each sample is left to torch."""
    sizes = torch.randint(10_000, 60_000, (1_000_000,), generator=torch.Generator().manual_seed(1))
    source = Sized([])
    source.sizes = sizes.tolist()
    sampler = DynamicBatchSampler(source, 2**20, shuffle=True)
    batches = list(sampler)
    assert sum(map(len, batches)) == 1_000_000
    assert max(int(sizes[batch].sum()) for batch in batches) <= 2**20
