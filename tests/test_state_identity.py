"""A state that does not fit is refused, where it would lose or repeat samples."""

from __future__ import annotations

import gzip
import itertools
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, AISShardReader
from aisdatapipes.errors import StateMismatchError
from conftest import PutObject
from support.tars import shard

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

COUNT = 40


def name_of(found: tuple[str, Any]) -> str:
    """The name."""
    return found[0]


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_another_shuffle_buffer_is_refused(
    ais_bucket: Bucket, put_object: PutObject, is_packed: bool
) -> None:
    """The order of a shard depends on it, so the place where the run stood is not there."""
    content = shard(0, COUNT)
    put_object(ais_bucket, "0.tar", gzip.compress(content) if is_packed else content)
    stopped = AISShardReader(ais_bucket, shuffle=True, shuffle_buffer=20)
    assert len(list(itertools.islice(stopped, 15))) == 15
    resumed = AISShardReader(ais_bucket, shuffle=True, shuffle_buffer=10)
    with pytest.raises(StateMismatchError, match="shuffle_buffer"):
        resumed.load_state_dict(stopped.state_dict())


def test_the_shuffle_buffer_does_not_matter_without_shuffle(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """Then it is no part of the state's identity."""
    put_object(ais_bucket, "0.tar", shard(0, COUNT))
    stopped = AISShardReader(ais_bucket, shuffle_buffer=20, transform=name_of)
    head = list(itertools.islice(stopped, 15))
    resumed = AISShardReader(ais_bucket, shuffle_buffer=10, transform=name_of)
    resumed.load_state_dict(stopped.state_dict())
    assert head + list(resumed) == [f"{number:04d}" for number in range(COUNT)]


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_a_plain_loader_has_no_state(ais_bucket: Bucket, put_object: PutObject, start: str) -> None:
    """What its workers read is not in our state: it raises, and names the right loader."""
    for number in range(COUNT):
        put_object(ais_bucket, f"{number:02d}", b"x")
    dataset = AISIterDataset(ais_bucket, transform=name_of)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=start)
    samples = iter(loader)
    assert len(list(itertools.islice(samples, 30))) == 30
    with pytest.raises(StateMismatchError, match="StatefulDataLoader"):
        dataset.state_dict()


def changed(state: Any, name: str, value: Any) -> Any:
    """Return a state with another value wherever a key has that name."""
    if not isinstance(state, dict):
        return state
    return {key: value if key == name else changed(one, name, value) for key, one in state.items()}


def test_a_turn_of_a_run_without_shuffle_is_refused(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """It has none; with one, the rest of the shard would come in another order than it began."""
    put_object(ais_bucket, "0.tar", shard(0, COUNT))
    stopped = AISShardReader(ais_bucket)
    assert len(list(itertools.islice(stopped, 15))) == 15
    state = stopped.state_dict()
    later = changed(state, "turn", 1)
    assert later != state
    with pytest.raises(StateMismatchError, match="turn 1 of a run without shuffle"):
        AISShardReader(ais_bucket).load_state_dict(later)


def test_a_turn_of_a_run_with_shuffle_is_resumed(ais_bucket: Bucket, put_object: PutObject) -> None:
    """There a pass that was left early is followed by one in another order, which has a state."""
    put_object(ais_bucket, "0.tar", shard(0, COUNT))
    stopped = AISShardReader(ais_bucket, shuffle=True, transform=name_of)
    head = list(itertools.islice(stopped, 15))
    state = stopped.state_dict()
    resumed = AISShardReader(ais_bucket, shuffle=True, transform=name_of)
    resumed.load_state_dict(state)
    assert sorted(head + list(resumed)) == [f"{number:04d}" for number in range(COUNT)]


@pytest.mark.parametrize(
    ("given", "read", "offset", "said"),
    [
        (9, 8, 10**9, "9 samples were given out, 8 read"),
        (5, 2**40, 2**60, "and 3 at most are in the shuffle buffer"),
        (2**40, 2**40 + 3, 2**40, "do not fit into"),
    ],
)
def test_counts_of_no_run_are_refused(
    ais_bucket: Bucket, put_object: PutObject, given: int, read: int, offset: int, said: str
) -> None:
    """To go on from there would take all memory, or for ever."""
    put_object(ais_bucket, "0.tar", shard(0, COUNT))
    stopped = AISShardReader(ais_bucket, shuffle=True, shuffle_buffer=3)
    assert len(list(itertools.islice(stopped, 5))) == 5
    state = stopped.state_dict()
    [(at, progress)] = state["begun"].items()
    assert progress[:2] == [5, 8]
    state["begun"][at] = [given, read, offset, *progress[3:]]
    with pytest.raises(StateMismatchError, match=said):
        AISShardReader(ais_bucket, shuffle=True, shuffle_buffer=3).load_state_dict(state)
