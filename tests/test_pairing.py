"""Pairing: the arithmetic of streams whose shards have different sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes.errors import BadArchiveError, UnequalStreamsError
from aisdatapipes.shards.pairing import Pairing

COUNTS = st.lists(
    st.lists(st.integers(0, 6), min_size=1, max_size=7).filter(any), min_size=1, max_size=3
)


def names_of(counts: list[list[int]]) -> list[str]:
    """Return a name for each stream."""
    return [f"stream {number}" for number in range(len(counts))]


@given(COUNTS)
def test_units_and_places(counts: list[list[int]]) -> None:
    """Units are all tuples in order; every file of a stream, up to the end, has one place."""
    pairing = Pairing(counts, names_of(counts), strict=False)
    units = [pairing.unit(number) for number in range(len(counts[0]))]
    assert [number for unit in units for number in unit] == list(range(pairing.total))
    assert pairing.unit_sizes() == list(map(len, units))
    for stream, one in enumerate(counts):
        files = [(shard, number) for shard, count in enumerate(one) for number in range(count)]
        places = [pairing.place(stream, number) for number in range(pairing.total)]
        assert places == files[: pairing.total]
        for unit in filter(None, units):
            expected = sorted({places[number][0] for number in unit})
            assert pairing.shards(stream, unit.start, unit.stop) == expected
    assert pairing.left_out == sum(map(sum, counts)) - pairing.total * len(counts)


@given(COUNTS)
def test_lengths_must_be_equal(counts: list[list[int]]) -> None:
    """If they are not, the error has all of them."""
    lengths = list(map(sum, counts))
    if len(set(lengths)) == 1:
        assert Pairing(counts, names_of(counts)).total == lengths[0]
        return
    with pytest.raises(UnequalStreamsError) as caught:
        Pairing(counts, names_of(counts))
    for name, length in zip(names_of(counts), lengths, strict=True):
        assert f"{name} has {length}" in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "completed"),
    [
        ([[4, -1, 3], [4, 5, 3]], [[4, 5, 3], [4, 5, 3]]),
        ([[-1, -1, 3], [4, 5, -1]], [[4, 5, 3], [4, 5, 3]]),
        ([[4, -1, 3], [4, -1, 3]], [[4, 0, 3], [4, 0, 3]]),
        ([[4, -1, 3], [6, 6]], [[4, 5, 3], [6, 6]]),
        ([[12], [-1, 7], [8, -1]], [[12], [5, 7], [8, 4]]),
    ],
)
def test_unknown_counts_are_worked_out(counts: list[list[int]], completed: list[list[int]]) -> None:
    """From the other streams, if their shards are as long, or by the length of all."""
    assert Pairing(counts, names_of(counts)).counts == completed


@pytest.mark.parametrize(
    ("counts", "strict"),
    [
        ([[4, -1, -1], [6, 6]], True),
        ([[4, -1, 3], [6, -1]], True),
        ([[4, -1, 3], [6, 6]], False),
        ([[4, -1, 9], [6, 6]], True),
    ],
)
def test_unknown_counts_that_nothing_tells(counts: list[list[int]], strict: bool) -> None:
    """Rather an error than files in the wrong tuple."""
    with pytest.raises(BadArchiveError, match="shard 1 of stream 0 cannot be read"):
        Pairing(counts, names_of(counts), strict=strict)
