"""Equal steps hold over stops, skipped shards and replacements, and cost no sample but padding."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from aistore.sdk import Bucket
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardReader, errors
from conftest import PutObject
from support.loaders import end_workers
from support.tars import shard

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:Length of IterableDataset"),
]

BLOCK = 512


def name_of(found: tuple[str, Any]) -> str:
    """The basename."""
    return found[0]


def names(first: int, count: int) -> list[str]:
    """The samples that `shard` makes."""
    return [f"{number:04d}" for number in range(first, first + count)]


def reader(bucket: Bucket, rank: int, **options: Any) -> AISShardReader[str]:
    """Return the reader of one of two ranks."""
    return AISShardReader(bucket, rank=rank, world_size=2, transform=name_of, **options)


def read(bucket: Bucket, **options: Any) -> list[list[str]]:
    """Return what two ranks read, each in one go."""
    return [list(reader(bucket, rank, **options)) for rank in range(2)]


def twice(ranks: Iterable[Iterable[str]]) -> list[str]:
    """Return what comes more than once."""
    counts = Counter(itertools.chain.from_iterable(ranks))
    return [name for name, times in counts.items() if times > 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_dropping_ranks_go_on_as_they_began(
    ais_bucket: Bucket, put_object: PutObject, workers: int
) -> None:
    """With ``"drop"``, a stop after any step changes neither the steps nor what is left out."""
    for number, size in enumerate([6, 4, 12, 12]):
        put_object(ais_bucket, f"{number}.tar", shard(100 * number, size))

    def loader(rank: int) -> StatefulDataLoader:
        dataset = reader(ais_bucket, rank, uneven="drop")
        return StatefulDataLoader(dataset, batch_size=2, collate_fn=list, num_workers=workers)

    whole = [list(loader(rank)) for rank in range(2)]
    assert len(whole[0]) == len(whole[1])
    for stop in range(1, len(whole[0]) + 1):
        for rank in range(2):
            stopped = loader(rank)
            head = list(itertools.islice(stopped, stop))
            resumed = loader(rank)
            resumed.load_state_dict(stopped.state_dict())
            assert head + list(resumed) == whole[rank], f"rank {rank} stopped after step {stop}"
            end_workers()


@pytest.mark.parametrize("uneven", ["pad", "drop"])
def test_a_cut_shard_is_skipped_in_the_padding_too(
    ais_bucket: Bucket, put_object: PutObject, uneven: str
) -> None:
    """The rank that repeats samples meets its cut shard again, and the policy holds there too."""
    put_object(ais_bucket, "0.tar", shard(0, 10)[: BLOCK * 4 * 5 + 700])
    put_object(ais_bucket, "1.tar", shard(100, 20))
    options: dict[str, Any] = {"on_error": "skip", "uneven": uneven}
    readers = [reader(ais_bucket, rank, **options) for rank in range(2)]
    found = [list(one) for one in readers]
    assert len(found[0]) == len(found[1])
    assert set(found[0]) <= set(names(0, 5))
    assert found[0][:5] == names(0, len(found[0][:5]))
    assert set(readers[0].skipped_urls()) == {f"ais://{ais_bucket.name}/0.tar"}
    if uneven == "pad":
        assert found[1] == names(100, 20)


def give(content: bytes, url: str, error: errors.AISPipeError) -> bytes:  # noqa: ARG001
    """Have this content in place of any shard."""
    return content


@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_content_in_place_of_a_shard_counts_as_samples(
    ais_bucket: Bucket, put_object: PutObject, uneven: str
) -> None:
    """Ranks are evened out by what an ``on_error`` function gives, not by what it replaces."""
    put_object(ais_bucket, "0.tar", shard(0, 4))
    put_object(ais_bucket, "1.tar", b"garbage" * 300)
    found = read(ais_bucket, uneven=uneven, on_error=partial(give, shard(100, 10)))
    expected = {
        "pad": [(names(0, 4) * 3)[:10], names(100, 10)],
        "drop": [names(0, 4), names(100, 4)],
        "keep": [names(0, 4), names(100, 10)],
    }
    assert found == expected[uneven]
    assert not twice(found) or uneven == "pad"


def test_a_shard_without_its_end_mark_has_samples(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """A shard that cannot be counted by the cluster may have samples before its fault."""
    put_object(ais_bucket, "0.tar", shard(0, 10)[: -2 * BLOCK])
    put_object(ais_bucket, "1.tar", shard(100, 2))
    found = read(ais_bucket, uneven="pad", on_error="skip")
    assert len(found[0]) == len(found[1])
    assert set(found[0]) >= set(names(0, 9))
