"""AISShardReader stopped anywhere: the rest comes once, in order, and nothing is read again."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aistore.sdk import Bucket
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardReader, Settings, errors, merge_states
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Rule, Take
from support.faults import FaultProxy
from support.tars import member, pack

pytestmark = [
    # torchdata 0.9 calls it on torch 2.13 and later.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

SHARDS, SAMPLES, SAMPLE_BYTES = 6, 20, 20_000
ALL = [f"{number:03d}" for number in range(SHARDS * SAMPLES)]
STREAMED = Settings(whole_object_bytes=10_000)


@dataclass(frozen=True, eq=False, kw_only=True)
class SizeOfBodies(Rule):
    """Counts the bytes of objects that the cluster sends; changes nothing."""

    times: int | None = None
    matches: str = "GET /v1/objects/.*pid="
    sent: list[int] = field(default_factory=list)

    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Look at what passes."""
        async for chunk in chunks:
            self.sent.append(len(chunk))
            yield chunk


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket of shards whose samples are numbered through."""
    for number in range(SHARDS):
        keys = ALL[SAMPLES * number : SAMPLES * (number + 1)]
        members = [member(f"{key}.bin", key.encode() * (SAMPLE_BYTES // 3)) for key in keys]
        put_object(ais_bucket, f"{number}.tar", pack(members))
    return ais_bucket


def reader_of(bucket: Bucket, endpoint: str, **options: Any) -> AISShardReader[str]:
    """All of it, streamed, through any address of the cluster; yields names only."""
    return AISShardReader(
        client_url=endpoint,
        urls_list=f"ais://{bucket.name}/",
        transform=name_of,
        settings=STREAMED,
        **options,
    )


def name_of(found: tuple[str, dict[str, bytes]]) -> str:
    """The basename, which the content repeats."""
    name, files = found
    assert files["bin"] == name.encode() * (SAMPLE_BYTES // 3)
    return name


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stop_alone(
    bucket: Bucket, ais_cluster: LocalCluster, faults: FaultProxy, shuffle: bool
) -> None:
    """At random places: the rest in the same order, and no more bytes than the rest has."""
    options = {"shuffle": shuffle, "shuffle_buffer": 8, "seed": 5}
    expected = list(reader_of(bucket, ais_cluster.endpoint, **options))
    assert sorted(expected) == ALL
    for stop in random.Random(shuffle).sample(range(1, len(ALL)), 5):
        # Not through the proxy, which would count what this one opens ahead in vain.
        reader = reader_of(bucket, ais_cluster.endpoint, **options)
        assert list(itertools.islice(reader, stop)) == expected[:stop]
        state = json.loads(json.dumps(reader.state_dict()))
        assert len(json.dumps(state)) < 2000
        resumed = reader_of(bucket, faults.endpoint, **options)
        with faults.rule(SizeOfBodies()) as sizes:
            resumed.load_state_dict(state)
            # Not list(resumed), which calls len(), which counts.
            assert list(iter(resumed)) == expected[stop:]
        # Headers, padding and end marks; the last piece may come in with a range.
        slack = 1100 * len(ALL) + 10_240 * SHARDS
        assert sum(sizes.sent) < (len(ALL) - stop) * SAMPLE_BYTES + slack


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stop_in_a_loader(
    bucket: Bucket, faults: FaultProxy, workers: int, shuffle: bool
) -> None:
    """Torchdata's loader with a state goes on as if it had not stopped, and so its next epoch."""

    def loader() -> StatefulDataLoader:
        reader = reader_of(bucket, faults.endpoint, shuffle=shuffle, shuffle_buffer=8)
        return StatefulDataLoader(reader, batch_size=4, collate_fn=list, num_workers=workers)

    whole = loader()
    expected = list(whole)
    following = list(whole)
    assert sorted(itertools.chain.from_iterable(expected)) == ALL
    for stop in (1, 13, len(expected) - 1):
        stopped = loader()
        assert list(itertools.islice(stopped, stop)) == expected[:stop]
        resumed = loader()
        resumed.load_state_dict(stopped.state_dict())
        assert list(resumed) == expected[stop:]
        assert list(resumed) == following


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3), (3, 2)])
def test_another_number_of_ranks(
    bucket: Bucket, faults: FaultProxy, before: int, after: int
) -> None:
    """What is left after a stop, shards in their middle too, comes once, whoever reads it."""
    options = {"shuffle": True, "shuffle_buffer": 8, "uneven": "keep"}

    def ranks(world_size: int) -> list[AISShardReader[str]]:
        return [
            reader_of(bucket, faults.endpoint, rank=rank, world_size=world_size, **options)
            for rank in range(world_size)
        ]

    found: list[str] = []
    stopped = ranks(before)
    for reader in stopped:
        found += itertools.islice(reader, 27)
    state = merge_states(*[reader.state_dict() for reader in stopped])
    for reader in ranks(after):
        reader.load_state_dict(state)
        found += reader
    assert sorted(found) == ALL


def test_a_shard_that_changed_since(
    bucket: Bucket, faults: FaultProxy, put_object: PutObject
) -> None:
    """It cannot be resumed in its middle: an error says so, or the rest of it is skipped."""
    for on_error in ("raise", "skip"):
        reader = reader_of(bucket, faults.endpoint, on_error=on_error)
        assert len(list(itertools.islice(reader, 5))) == 5
        state = reader.state_dict()
        manifest = reader.manifest
        put_object(bucket, "0.tar", pack([member("other.bin", b"1" * 10**6)]))
        resumed = AISShardReader(
            manifest=manifest, client_url=faults.endpoint, transform=name_of, on_error=on_error
        )
        resumed.load_state_dict(state)
        if on_error == "raise":
            with pytest.raises(errors.ObjectChangedError, match=r"0\.tar was replaced since"):
                list(resumed)
        else:
            assert list(resumed) == ALL[SAMPLES:]
            assert resumed.counters().skipped == 1
        old = [member(f"{key}.bin", key.encode() * (SAMPLE_BYTES // 3)) for key in ALL[:SAMPLES]]
        put_object(bucket, "0.tar", pack(old))
