"""Steps over shards of different sizes: equally many in all ranks, nothing lost unless asked."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from typing import Any

import pytest
from aistore.sdk import Bucket
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardReader, merge_states
from conftest import PutObject
from support.faults import FaultProxy
from support.jobs import run_ranks
from support.tars import member, pack

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

SIZES = [3, 9, 1, 5, 4, 2]
NAMES = [f"{shard}-{number}" for shard, size in enumerate(SIZES) for number in range(size)]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Shards of these sizes, each with a member that is no sample's."""
    for shard, size in enumerate(SIZES):
        members = [member(f"{shard}-{number}.{end}") for number in range(size) for end in "ab"]
        put_object(ais_bucket, f"{shard}.tar", pack([member("README"), *members]))
    return ais_bucket


def name_of(found: tuple[str, Any]) -> str:
    """The basename."""
    return found[0]


def reader_of(bucket: Bucket, rank: int, world_size: int, **options: Any) -> AISShardReader[str]:
    """The slice of a rank, by name."""
    return AISShardReader(bucket, rank=rank, world_size=world_size, transform=name_of, **options)


def loaded(reader: AISShardReader[str], workers: int) -> list[list[str]]:
    """All batches of three."""
    return list(StatefulDataLoader(reader, batch_size=3, collate_fn=list, num_workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_padded_ranks_make_equal_steps(bucket: Bucket, workers: int, shuffle: bool) -> None:
    """Every sample comes, some come again, and both ranks have as many batches."""
    batches = [loaded(reader_of(bucket, rank, 2, shuffle=shuffle), workers) for rank in range(2)]
    assert len(batches[0]) == len(batches[1])
    assert set(itertools.chain(*batches[0], *batches[1])) == set(NAMES)


def test_dropping_ranks_make_equal_steps(bucket: Bucket) -> None:
    """No sample comes twice, and as many in both; what is left out is in the log."""
    found = [list(reader_of(bucket, rank, 2, uneven="drop")) for rank in range(2)]
    assert [len(names) for names in found] == [8, 8]
    assert set(Counter(itertools.chain(*found)).values()) == {1}
    assert [len(reader_of(bucket, rank, 2, uneven="drop")) for rank in range(2)] == [8, 8]


def test_keeping_ranks_share_exactly(bucket: Bucket, faults: FaultProxy) -> None:
    """Each sample once, and the cluster is not asked what is in the shards."""
    options: dict[str, Any] = {
        "client_url": faults.endpoint,
        "urls_list": f"ais://{bucket.name}/",
    }
    readers = [
        AISShardReader(rank=rank, world_size=2, uneven="keep", transform=name_of, **options)
        for rank in range(2)
    ]
    assert sorted(itertools.chain(*readers)) == sorted(NAMES)
    assert faults.count("GET /v1/buckets/") == 2


def test_too_few_shards(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    """A rank without a shard repeats those of others, and says so; it drops nothing silently."""
    options = {"prefix_map": {bucket: ["0", "1"]}}
    with caplog.at_level(logging.WARNING, logger="aisdatapipes"):
        found = [list(reader_of(bucket, rank, 3, **options)) for rank in range(3)]
    assert [len(names) for names in found] == [9, 9, 9]
    assert any("no sample is left for rank 2 of 3" in message for message in caplog.messages)
    with pytest.raises(ValueError, match="2 shards are too few for 1 workers in each of 3"):
        list(reader_of(bucket, 0, 3, uneven="drop", **options))


def test_shards_without_samples(ais_bucket: Bucket, put_object: PutObject) -> None:
    """A rank whose shards are empty repeats the samples of others."""
    put_object(ais_bucket, "0.tar", pack([member(f"{number}.a") for number in range(3)]))
    put_object(ais_bucket, "1.tar", pack([member("README")]))
    found = [list(reader_of(ais_bucket, rank, 2)) for rank in range(2)]
    assert found == [["0", "1", "2"], ["0", "1", "2"]]


@pytest.mark.parametrize("stop", [1, 7, 12, 13, 15])
def test_a_stop_does_not_change_the_number_of_steps(bucket: Bucket, stop: int) -> None:
    """Also where samples are being repeated."""
    for rank in range(2):
        expected = list(reader_of(bucket, rank, 2))
        reader = reader_of(bucket, rank, 2)
        assert list(itertools.islice(reader, stop)) == expected[:stop]
        resumed = reader_of(bucket, rank, 2)
        resumed.load_state_dict(reader.state_dict())
        assert list(resumed) == expected[stop:]


def test_other_ranks_make_equal_steps_too(bucket: Bucket) -> None:
    """After a stop of two ranks three of them share what is left, in equally many steps."""
    readers = [reader_of(bucket, rank, 2) for rank in range(2)]
    found = [name for reader in readers for name in itertools.islice(reader, 5)]
    state = merge_states(*[reader.state_dict() for reader in readers])
    rest = []
    for rank in range(3):
        reader = reader_of(bucket, rank, 3)
        reader.load_state_dict(state)
        rest.append(list(reader))
        assert list(reader) == list(reader_of(bucket, rank, 3))  # the next epoch is whole
    assert len({len(names) for names in rest}) == 1
    assert set(found) | set(itertools.chain(*rest)) == set(NAMES)


def test_one_rank_asks_for_all(bucket: Bucket, faults: FaultProxy) -> None:
    """In a process group, shards and samples are counted once, and the steps are equal."""
    found = run_ranks(2, read_in_rank, faults.endpoint, f"ais://{bucket.name}/")
    assert len(found[0]) == len(found[1]) == 16
    assert set(itertools.chain(*found)) == set(NAMES)
    assert faults.count("GET /v1/buckets/") == 1
    of_rank_1 = [faults.count(rf"GET /v1/objects/.*/{shard}\.tar.*pid=") for shard in (1, 3, 5)]
    assert of_rank_1 == [2, 2, 2]  # one to count it, one to read it


def read_in_rank(endpoint: str, url: str) -> list[str]:
    """What a rank reads."""
    return list(AISShardReader(client_url=endpoint, urls_list=url, transform=name_of))
