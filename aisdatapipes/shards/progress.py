"""Progress in a shard: its samples in order or drawn at random, and where the reading stands.

The state of it is a few numbers, and still nothing that was given out is read again: it says from
which byte on the shard is unread, and where the samples are that were read but not yet drawn.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from random import Random
from typing import Any, NamedTuple

from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.shards.samples import samples_of
from aisdatapipes.tar import Sample, SupportsRead

__all__ = ["ShardProgress"]

_BLOCK_BYTES = 512
_END_MARK = bytes(2 * _BLOCK_BYTES)


class _Held(NamedTuple):
    """A sample that was read and not drawn yet, and where it begins."""

    begin: int
    sample: Sample


class ShardProgress:
    """Reads the samples of one shard once, over a stop too.

    Args:
        url: The shard's.
        tally: Where to count members that are left out.
        shuffle_key: What the random order depends on; None for the order of the shard.
        buffer_size: How many samples the next one is drawn from.
        state: Where an earlier reading stopped, as `state` returned it.
    """

    def __init__(
        self,
        url: str,
        tally: ProcessCounters,
        shuffle_key: str | None = None,
        buffer_size: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        state = state or {"samples": 0, "at": 0, "held": []}
        self._url = url
        self._tally = tally
        self._shuffle_key = shuffle_key
        self._buffer_size = buffer_size
        self._done: int = state["samples"]
        self._at: int | None = state["at"]
        self._places = _unpacked(state["held"])
        self._held: list[_Held] = []

    @property
    def begin(self) -> int:
        """From which byte on the shard is to be opened."""
        return self._at or 0

    def state(self) -> dict[str, Any]:
        """Return where the reading stands: plain numbers, some for each sample in the buffer."""
        if self._at is None:
            return {"samples": self._done, "at": None, "held": []}
        held = [(begin, sample.end or 0) for begin, sample in self._held]
        return {"samples": self._done, "at": self._at, "held": _packed(self._places + held)}

    def read(self, file: SupportsRead, fetch: Callable[[int, int], bytes]) -> Iterator[Sample]:
        """Yield the samples that are left.

        Args:
            file: The shard, open from `begin` on.
            fetch: Returns the bytes of the shard from a first to a last one.
        """
        if self._at is None:
            return self.read_again(file)
        samples = samples_of(file, self._url, self._tally, self._at)
        if self._shuffle_key is None:
            return self._in_order(samples)
        self._held = [self._fetched(*place, fetch) for place in self._places]
        self._places = []
        return self._drawn(samples, self._random(self._done))

    def read_again(self, file: SupportsRead) -> Iterator[Sample]:
        """Yield the samples that are left, of a shard that can only be read from its beginning.

        One that is packed, or made by an ETL, has no places to go on at.

        Args:
            file: The shard, open at its beginning.
        """
        done, self._done, self._at = self._done, 0, None
        self._places, self._held = [], []
        samples = samples_of(file, self._url, self._tally)
        if self._shuffle_key is None:
            return islice(self._in_order(samples), done, None)
        return islice(self._drawn(samples, self._random(0)), done, None)

    def _in_order(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            self._done += 1
            self._advance(sample)
            yield sample

    def _drawn(self, samples: Iterator[Sample], random: Random) -> Iterator[Sample]:
        for sample in samples:
            self._held.append(_Held(self._at or 0, sample))
            self._advance(sample)
            if len(self._held) > self._buffer_size:
                yield self._draw(random)
        while self._held:
            yield self._draw(random)

    def _advance(self, sample: Sample) -> None:
        if self._at is not None:
            self._at = sample.end

    def _draw(self, random: Random) -> Sample:
        self._done += 1
        # Of all methods of Random, only this one gives the same in every version of Python.
        return self._held.pop(int(random.random() * len(self._held))).sample

    def _random(self, drawn: int) -> Random:
        """Return the generator as it is after so many draws."""
        random = Random(self._shuffle_key)  # noqa: S311 - no secret
        for _ in range(drawn):
            random.random()
        return random

    def _fetched(self, begin: int, end: int, fetch: Callable[[int, int], bytes]) -> _Held:
        content = io.BytesIO(fetch(begin, end - 1) + _END_MARK)
        return _Held(begin, next(samples_of(content, self._url, self._tally, begin)))


def _packed(places: list[tuple[int, int]]) -> list[int]:
    """Return the places of samples, in order, as blocks: gap, length, gap, length, …."""
    borders = [0, *(border for place in places for border in place)]
    return [(after - before) // _BLOCK_BYTES for before, after in pairwise(borders)]


def _unpacked(blocks: list[int]) -> list[tuple[int, int]]:
    borders: list[int] = []
    at = 0
    for step in blocks:
        at += step * _BLOCK_BYTES
        borders.append(at)
    return list(zip(borders[::2], borders[1::2], strict=True))
