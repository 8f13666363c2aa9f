"""Progress in a shard: wherever it stops, the rest comes once, in the same order, unread before."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes.metrics.counters import ProcessCounters, SharedCounters
from aisdatapipes.shards.progress import ShardProgress
from aisdatapipes.tar import Sample
from support.tars import member, pack

URL = "ais://imagenet/0.tar"
COUNT = 40
SIZES = [1 + 700 * (number % 5) for number in range(COUNT)]
SHARD = pack([member(f"{number}.jpg", b"x" * size) for number, size in enumerate(SIZES)])


@pytest.fixture(scope="module")
def tally() -> ProcessCounters:
    """Counters that nobody looks at."""
    return SharedCounters().tally()


class Archive:
    """A shard that counts which of its bytes are asked for."""

    def __init__(self, content: bytes = SHARD) -> None:
        self.content = content
        self.read_bytes = 0

    def rest(self, progress: ShardProgress) -> Iterator[str]:
        """Yield the keys of the samples that are left."""
        file = io.BytesIO(self.content[progress.begin :])
        self.read_bytes += len(self.content) - progress.begin
        for sample in progress.read(file, self._fetch):
            yield self._checked(sample)

    def _fetch(self, first: int, last: int) -> bytes:
        self.read_bytes += last + 1 - first
        return self.content[first : last + 1]

    @staticmethod
    def _checked(sample: Sample) -> str:
        assert len(sample.files["jpg"]) == SIZES[int(sample.key)]
        return sample.key


@given(
    stops=st.lists(st.integers(0, COUNT), max_size=4),
    key=st.none() | st.text(max_size=3),
    size=st.integers(1, 50),
    is_packed=st.booleans(),
)
def test_stops_change_nothing(
    tally: ProcessCounters, stops: list[int], key: str | None, size: int, is_packed: bool
) -> None:
    """With any stops the samples come as without: each once, in the same order."""
    archive = Archive(gzip.compress(SHARD) if is_packed else SHARD)
    expected = list(archive.rest(ShardProgress(URL, tally, key, size)))
    assert sorted(expected, key=int) == [str(number) for number in range(COUNT)]
    found: list[str] = []
    state = None
    for stop in stops:
        progress = ShardProgress(URL, tally, key, size, state)
        found += islice(archive.rest(progress), stop)
        state = json.loads(json.dumps(progress.state()))
    found += archive.rest(ShardProgress(URL, tally, key, size, state))
    assert found == expected


@given(stop=st.integers(1, COUNT - 1), key=st.none() | st.text(max_size=3))
def test_nothing_that_was_given_out_is_read_again(
    tally: ProcessCounters, stop: int, key: str | None
) -> None:
    """What is read after a stop are the samples that are left, and the end mark."""
    progress = ShardProgress(URL, tally, key, 8)
    given_out = list(islice(Archive().rest(progress), stop))
    left = Archive()
    list(left.rest(ShardProgress(URL, tally, key, 8, progress.state())))
    gone = sum(512 + -(-SIZES[int(name)] // 512) * 512 for name in given_out)
    assert left.read_bytes == len(SHARD) - gone


def test_the_order_depends_on_the_key(tally: ProcessCounters) -> None:
    """It is random, another one for another key, and the shard's own without one."""
    orders = [list(Archive().rest(ShardProgress(URL, tally, key, 99))) for key in ("a", "b", None)]
    assert orders[2] == [str(number) for number in range(COUNT)]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_the_state_of_a_full_buffer_is_small(tally: ProcessCounters) -> None:
    """Of 512 samples that are not drawn, it holds about four characters each."""
    shard = pack([member(f"{number}.jpg", b"x" * 900) for number in range(3000)])
    progress = ShardProgress(URL, tally, "key", 512)
    samples = progress.read(io.BytesIO(shard), lambda first, last: shard[first : last + 1])
    for _ in islice(samples, 2000):
        pass
    assert 512 <= len(json.dumps(progress.state())) < 5000
