"""Shard names: what the shards of one pattern are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aisdatapipes.errors import InvalidURLError

__all__ = ["ShardNames"]

_NUMBER = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class ShardNames:
    """Paths that differ in a number.

    Args:
        prefix: What is before the number.
        number: How it is written, as ``%06d``.
        suffix: What is behind it.

    Example:
        >>> names = ShardNames.parse("bucket/train-%06d.tar")
        >>> names[7]
        'bucket/train-000007.tar'
        >>> names.has("bucket/train-7.tar"), names.has("bucket/train.tar")
        (True, False)
    """

    prefix: str
    number: str
    suffix: str

    @classmethod
    def parse(cls, pattern: str) -> ShardNames:
        """Take a pattern apart.

        Raises:
            InvalidURLError: It has no place for a number, or several, or is not that of a tar.
        """
        numbers = _NUMBER.findall(pattern)
        if len(numbers) != 1 or not pattern.endswith(".tar"):
            raise InvalidURLError(
                f"{pattern!r} names no shards, which need one number, and .tar at their end: "
                "write it like ais://bucket/train-%06d.tar"
            )
        prefix, _, suffix = pattern.partition(numbers[0])
        return cls(prefix, numbers[0], suffix)

    def __getitem__(self, number: int) -> str:
        """Return the path of a shard, counted from 0."""
        return f"{self.prefix}{self.number % number}{self.suffix}"

    def has(self, path: str) -> bool:
        """Whether a path differs from those of the shards in the number only."""
        middle = path.removeprefix(self.prefix).removesuffix(self.suffix)
        return path == f"{self.prefix}{middle}{self.suffix}" and middle.isdecimal()
