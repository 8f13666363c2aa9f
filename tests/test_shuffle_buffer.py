"""Shuffle buffers: every sample once, in an order that a key makes and a state can resume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate, islice, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes.shards.shuffle_buffer import (
    BufferedSample,
    ShuffleBuffer,
    as_blocks,
    as_ranges,
    indices_in_buffer,
)
from aisdatapipes.tar import Sample

COUNT = 40


def samples(sizes: list[int]) -> list[BufferedSample]:
    """Return samples of so many blocks, one behind the other, whose keys are their numbers."""
    borders = pairwise(accumulate((512 * size for size in sizes), initial=0))
    return [
        BufferedSample(Sample(str(number), {}, end), begin)
        for number, (begin, end) in enumerate(borders)
    ]


def numbers(found: Iterator[Sample]) -> list[int]:
    """Return the numbers of samples."""
    return [int(sample.key) for sample in found]


@given(
    key=st.text(max_size=3),
    size=st.integers(1, COUNT + 5),
    count=st.integers(0, COUNT),
    drawn=st.integers(0, COUNT),
)
def test_a_buffer_goes_on_from_what_its_state_says(
    key: str, size: int, count: int, drawn: int
) -> None:
    """What is in it follows from the key; filled with that, it gives the same as without a stop."""
    everything = samples([1] * count)
    whole = numbers(ShuffleBuffer(key, size).shuffled(everything))
    assert sorted(whole) == list(range(count))

    drawn = min(drawn, count)
    source = iter(everything)
    stopped = ShuffleBuffer(key, size)
    head = numbers(islice(stopped.shuffled(source), drawn))
    left = len(list(source))
    indices = indices_in_buffer(key, size, drawn, count - left)
    assert not drawn or indices == [int(one.sample.key) for one in stopped.buffered]

    buffered = [everything[index] for index in indices]
    resumed = ShuffleBuffer(key, size, drawn, buffered)
    assert head + numbers(resumed.shuffled(everything[count - left :])) == whole


def test_the_order_depends_on_key_and_size() -> None:
    """Another key or size gives another order; a buffer of one draws from two samples."""
    everything = samples([1] * COUNT)
    orders = [
        numbers(ShuffleBuffer(key, size).shuffled(everything))
        for key, size in (("a", 99), ("b", 99), ("a", 5), ("a", 1))
    ]
    assert len(set(map(tuple, orders))) == len(orders)
    assert all(number - 1 <= place for place, number in enumerate(orders[3]))


@given(
    sizes=st.lists(st.integers(2, 9), min_size=1, max_size=30),
    chosen=st.sets(st.integers(0, 29)),
)
def test_blocks_tell_where_the_samples_are(sizes: list[int], chosen: set[int]) -> None:
    """The ranges that are read again are those of the samples, and begin with one of them."""
    buffered = [one for number, one in enumerate(samples(sizes)) if number in chosen]
    ranges = as_ranges(json.loads(json.dumps(as_blocks(buffered))) or ())
    assert sum(end - begin for begin, end in ranges) == sum(
        (one.sample.end or 0) - (one.begin or 0) for one in buffered
    )
    for one in buffered:
        assert any(begin <= (one.begin or 0) < end for begin, end in ranges)
    assert {begin for begin, _ in ranges} <= {one.begin for one in buffered}


@pytest.mark.parametrize("most", [10, 10_000])
def test_the_state_of_a_big_buffer_is_small(most: int) -> None:
    """Of 8192 samples of any size, of 100,000 that were read: 10 KB at most."""
    random = Random(most)
    everything = samples([2 + random.randrange(most) for _ in range(100_000)])
    chosen = sorted(random.sample(range(len(everything)), 8192))
    buffered = [everything[number] for number in chosen]
    blocks = as_blocks(buffered)
    assert len(json.dumps(blocks)) < 5_000
    ranges = as_ranges(blocks or ())
    assert len(ranges) <= 256
    found = iter(ranges)
    begin, end = next(found)
    for one in buffered:
        while (one.begin or 0) >= end:
            begin, end = next(found)
        assert begin <= (one.begin or 0)
        assert (one.sample.end or 0) <= end


def test_samples_without_a_place_have_no_blocks() -> None:
    """Those of a tar that is compressed, or behind a global header."""
    here, there = samples([2, 2])
    nowhere = BufferedSample(there.sample._replace(end=None), None)
    assert as_blocks([here, nowhere]) is None
    assert as_blocks([]) == ()
