"""Sample entry: a reference to one sample, from which it can be read."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SampleEntry"]


class SampleEntry(NamedTuple):
    """A sample of a `ShardIndex`.

    Attributes:
        url: Its shard.
        key: Directory, and name up to its first dot.
        extensions: What is behind that dot, in lower case, of each of its files, in order.
        ranges: Where it is in the shard: from a first byte to before another; several where
            members of other samples come in between.

    Example:
        >>> SampleEntry("ais://coco/0.tar", "train/0001", ("jpg", "cls"), ((0, 40960),)).basename
        '0001'
    """

    url: str
    key: str
    extensions: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def basename(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]
