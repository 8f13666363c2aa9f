"""Shuffle buffer: the samples of a shard in a random order that can be resumed.

The order depends on a key and on the number of samples in the buffer, and on nothing else: so
which samples are in the buffer after so many draws follows from the key (`indices_in_buffer`),
and a state has only to say where their bytes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

from aisdatapipes.tar import Sample

__all__ = ["BufferedSample", "ShuffleBuffer", "as_blocks", "as_ranges", "indices_in_buffer"]

_BLOCK_BYTES = 512
# So that the state of the largest buffer is a few kilobytes.
_MOST_RANGES = 256


class BufferedSample(NamedTuple):
    """A sample that was read and not drawn yet.

    Attributes:
        sample: The sample.
        begin: Byte of the shard at which it begins; None if unknown.
    """

    sample: Sample
    begin: int | None


class ShuffleBuffer:
    """Draws samples at random from the next ones.

    Args:
        key: What the order depends on.
        size: How many samples the next one is drawn from.
        drawn: How many were drawn before.
        buffered: What is in it.

    Example:
        >>> samples = [BufferedSample(Sample(key, {}, None), None) for key in "abc"]
        >>> buffer = ShuffleBuffer("b", size=2)
        >>> "".join(sample.key for sample in buffer.shuffled(samples))
        'cab'
    """

    def __init__(
        self, key: str, size: int, drawn: int = 0, buffered: Iterable[BufferedSample] = ()
    ) -> None:
        self._size = size
        self._random = _random_after(key, drawn)
        self.buffered = list(buffered)

    def shuffled(self, samples: Iterable[BufferedSample]) -> Iterator[Sample]:
        """Yield all samples, those of the buffer too."""
        for sample in samples:
            self.buffered.append(sample)
            if len(self.buffered) > self._size:
                yield self._draw()
        while self.buffered:
            yield self._draw()

    def _draw(self) -> Sample:
        return self.buffered.pop(_index(self._random, len(self.buffered))).sample


def indices_in_buffer(key: str, size: int, drawn: int, read: int) -> list[int]:
    """Return which of the samples that were read are in the buffer, in its order.

    Args:
        key: What the order depends on.
        size: How many samples the next one is drawn from.
        drawn: How many were drawn.
        read: How many were read.

    Example:
        >>> indices_in_buffer("b", size=2, drawn=1, read=3)
        [0, 1]
    """
    random = _random_after(key, 0)
    buffered = list(range(min(size, read)))
    following = iter(range(len(buffered), read))
    for _ in range(drawn):
        buffered += [index] if (index := next(following, None)) is not None else []
        buffered.pop(_index(random, len(buffered)))
    return [*buffered, *following]


def as_blocks(buffered: Sequence[BufferedSample]) -> tuple[int, ...] | None:
    """Return where buffered samples are, as blocks: gap, length, gap, length, ….

    A few ranges at most: where there would be more, the nearest ones are joined, and have some
    samples between them that were drawn already.

    Args:
        buffered: Samples in the order of the archive.

    Returns:
        The blocks; None if the place of some sample is not known.
    """
    ranges = [
        (begin, sample.end)
        for sample, begin in buffered
        if begin is not None and sample.end is not None
    ]
    if len(ranges) < len(buffered):
        return None
    borders = [0, *(border for one in _joined(ranges) for border in one)]
    return tuple((after - before) // _BLOCK_BYTES for before, after in pairwise(borders))


def as_ranges(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Return the ranges of bytes, ends excluded, that `as_blocks` wrote.

    Example:
        >>> as_ranges([0, 2, 1, 2])
        [(0, 1024), (1536, 2560)]
    """
    borders, at = [], 0
    for step in blocks:
        at += step * _BLOCK_BYTES
        borders.append(at)
    return list(zip(borders[::2], borders[1::2], strict=True))


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join neighbours, and then the nearest ranges, until they are few enough."""
    gaps = sorted((after[0] - before[1] for before, after in pairwise(ranges)), reverse=True)
    widest_joined = gaps[_MOST_RANGES - 1] if len(gaps) >= _MOST_RANGES else 0
    joined = ranges[:1]
    for begin, end in ranges[1:]:
        if begin - joined[-1][1] <= widest_joined:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    return joined


def _random_after(key: str, drawn: int) -> Random:
    random = Random(key)  # noqa: S311 - no secret
    for _ in range(drawn):
        random.random()
    return random


def _index(random: Random, length: int) -> int:
    # Of all methods of Random, only this one gives the same in every version of Python.
    return int(random.random() * length)
