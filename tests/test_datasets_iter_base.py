"""Subclasses of the base of iterable datasets, which say what a sample is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISBaseIterDataset
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.pairs import Pair, fill

COUNT = 23


@pytest.fixture
def pairs(ais_bucket: Bucket, put_object: PutObject) -> list[Pair]:
    """What is in the bucket."""
    return fill(ais_bucket, put_object, COUNT)


class Evens(AISBaseIterDataset):
    """Every second object of the share, by its length."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Return an iterator over names and lengths."""
        wanted = (entry for entry in self.share() if int(entry.name) % 2 == 0)
        return ((entry.name, len(content)) for entry, content in self.read(wanted))


def test_a_subclass_reads_some_of_its_share(
    ais_bucket: Bucket, ais_cluster: LocalCluster, pairs: list[Pair]
) -> None:
    """What it leaves out is consumed like the rest, so that its state goes on right."""
    expected = [(name, len(content)) for name, content in pairs[::2]]
    options: dict[str, Any] = {
        "client_url": ais_cluster.endpoint,
        "urls_list": f"ais://{ais_bucket.name}/",
    }
    dataset = Evens(**options)
    iterator = iter(dataset)
    got = list(itertools.islice(iterator, 4))
    resumed = Evens(**options)
    resumed.load_state_dict(dataset.state_dict())
    assert got + list(resumed) == expected
    assert resumed.state_dict()["worker"]["consumed"] == COUNT


class Reversed(Evens):
    """Reads its share from the end."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Return an iterator over names and lengths."""
        wanted = reversed(list(self.share()))
        return ((entry.name, len(content)) for entry, content in self.read(wanted))


@pytest.mark.usefixtures("pairs")
def test_a_subclass_keeps_the_order(ais_bucket: Bucket) -> None:
    """Out of order there is no right state, so it is an error."""
    with pytest.raises(ValueError, match="did not give at this place"):
        list(Reversed(ais_bucket))
    with pytest.raises(ValueError, match=r"read\(\) before share\(\)"):
        Reversed(ais_bucket).read([])
