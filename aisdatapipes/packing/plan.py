"""Plan: which samples are in which shard, decided before anything is written."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.packing.shard_content import END_BYTES, member_bytes
from aisdatapipes.packing.sources import SourceFile
from aisdatapipes.tar import key_of

__all__ = ["Limits", "PackPlan", "PlannedShard", "plan_shards"]


@dataclass(frozen=True)
class Limits:
    """What is most in a shard.

    Attributes:
        max_bytes: Of the tar; of a sample that is bigger a shard is made alone.
        max_samples: None for any number.
    """

    max_bytes: int = 256_000_000
    max_samples: int | None = None


@dataclass
class PlannedShard:
    """A shard to be.

    Attributes:
        files: In order; those of a sample are neighbours.
        samples: How many they make.
        size: Bytes of the tar.
    """

    files: list[SourceFile] = field(default_factory=list)
    samples: int = 0
    size: int = END_BYTES

    def add(self, sample: list[SourceFile], size: int) -> None:
        """Add a sample of so many bytes."""
        self.files += sample
        self.samples += 1
        self.size += size


@dataclass(frozen=True)
class PackPlan:
    """What is to be packed.

    Attributes:
        shards: In order.
        left_out: Names of files that are of no sample, as they have no key or no extension.
    """

    shards: list[PlannedShard]
    left_out: list[str]


def plan_shards(files: Iterable[SourceFile], limits: Limits, seed: int | None = None) -> PackPlan:
    """Return which file goes into which shard; the same for the same files in any order.

    Args:
        files: What there is.
        limits: How big a shard is.
        seed: Of the order of the samples; None for that of their keys.

    Raises:
        BadArchiveError: Two files of a sample have the same extension, but for its case.

    Example:
        >>> names = ["b/1.png", "a/1.jpg", "README", "a/1.seg.png"]
        >>> plan = plan_shards([SourceFile(name, 9) for name in names], Limits(max_samples=1))
        >>> [[file.name for file in shard.files] for shard in plan.shards]
        [['a/1.jpg', 'a/1.seg.png'], ['b/1.png']]
        >>> plan.left_out
        ['README']
    """
    samples: dict[str, list[SourceFile]] = {}
    left_out: list[str] = []
    for file in sorted(files):
        if key := key_of(file.name):
            samples.setdefault(key, []).append(file)
        else:
            left_out.append(file.name)
    for key, members in samples.items():
        _check(key, members)
    keys = sorted(samples)
    if seed is not None:
        random.Random(seed).shuffle(keys)  # noqa: S311 - no secret
    return PackPlan(list(_filled((samples[key] for key in keys), limits)), left_out)


def _filled(samples: Iterable[list[SourceFile]], limits: Limits) -> Iterator[PlannedShard]:
    shard = PlannedShard()
    for sample in samples:
        size = sum(map(member_bytes, sample))
        is_full = shard.samples == limits.max_samples or shard.size + size > limits.max_bytes
        if shard.samples and is_full:
            yield shard
            shard = PlannedShard()
        shard.add(sample, size)
    if shard.samples:
        yield shard


def _check(key: str, members: list[SourceFile]) -> None:
    """Refuse what readers of shards could not tell apart: they take extensions in lower case."""
    names: dict[str, str] = {}
    for file in members:
        other = names.setdefault(file.name[len(key) :].lower(), file.name)
        if other != file.name:
            raise BadArchiveError(
                f"{other!r} and {file.name!r} would be one and the same file of sample {key!r}: "
                "rename one of them"
            )
