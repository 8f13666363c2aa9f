"""Merged states: every rank of the new run resumes, at once or over one more state."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from aistore.sdk import Bucket
from torch.multiprocessing.spawn import start_processes
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, AISMultiShardStream, AISShardReader, merge_states
from conftest import PutObject
from support.shard_streams import put_stream, source
from support.tars import shard

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

SIZES = [10, 4]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """Two shards of samples, and two of files."""
    for number, size in enumerate(SIZES):
        put_object(ais_bucket, f"{number}.tar", shard(100 * number, size))
    put_stream(ais_bucket, put_object, "stream", SIZES)
    return ais_bucket


def reader(bucket: Bucket, rank: int, world_size: int, uneven: str) -> Any:
    """Return a reader of shards."""
    return AISShardReader(
        bucket,
        prefix_map={bucket: ["0", "1"]},
        rank=rank,
        world_size=world_size,
        uneven=uneven,  # pyright: ignore[reportArgumentType]
        transform=name_of,
    )


def streams(bucket: Bucket, rank: int, world_size: int, uneven: str) -> Any:
    """Return a dataset of one stream."""
    return AISMultiShardStream(
        [source(bucket, "stream")],
        rank=rank,
        world_size=world_size,
        uneven=uneven,  # pyright: ignore[reportArgumentType]
    )


def name_of(found: tuple[str, Any]) -> str:
    """The name."""
    return found[0]


@pytest.mark.parametrize("uneven", ["drop", "pad"])
@pytest.mark.parametrize("make", [reader, streams])
def test_a_state_before_the_first_sample(bucket: Bucket, make: Any, uneven: str) -> None:
    """Loaders take one at once. It knows as much of what was done as the merged one."""
    stopped = make(bucket, 0, 1, uneven)
    head = list(itertools.islice(stopped, 8))
    state = merge_states(stopped.state_dict())

    def resumed(rank: int, *, is_taken_again: bool) -> list[Any]:
        dataset = make(bucket, rank, 2, uneven)
        dataset.load_state_dict(state)
        if is_taken_again:
            iter(dataset)
            again = json.loads(json.dumps(dataset.state_dict()))
            dataset = make(bucket, rank, 2, uneven)
            dataset.load_state_dict(again)
        return list(dataset)

    at_once = [resumed(rank, is_taken_again=False) for rank in range(2)]
    steps = 2 if uneven == "drop" else 4
    assert [len(found) for found in at_once] == [steps, steps]
    assert [resumed(rank, is_taken_again=True) for rank in range(2)] == at_once
    if uneven == "drop":
        assert max(Counter([*head, *at_once[0], *at_once[1]]).values()) == 1


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_ranks_of_torch_multiprocessing_resume(
    ais_bucket: Bucket, put_object: PutObject, tmp_path: Path, start: str, workers: int
) -> None:
    """All of them, when the state was loaded before they were started; each reads its share."""
    names = [f"{number:02d}" for number in range(20)]
    for name in names:
        put_object(ais_bucket, name, b"x")
    stopped = AISIterDataset(ais_bucket, rank=0, world_size=1, transform=name_of)
    head = list(itertools.islice(stopped, 14))
    dataset = AISIterDataset(ais_bucket, transform=name_of)
    dataset.load_state_dict(merge_states(stopped.state_dict()))
    start_processes(train, args=(dataset, str(tmp_path), workers), nprocs=2, start_method=start)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert sorted(head + found[0] + found[1]) == names
    assert [len(share) for share in found] == [3, 3]


def train(rank: int, dataset: AISIterDataset, folder: str, workers: int) -> None:
    """Be a rank of two; one reads after the other."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    if rank == 1:
        dist.barrier()
    found = list(DataLoader(dataset, batch_size=None, num_workers=workers))
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    if rank == 0:
        dist.barrier()
    dist.barrier()
    dist.destroy_process_group()
