"""Shard samples: which samples a shard has, and where, as its members come by."""

from __future__ import annotations

from dataclasses import dataclass, field

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.tar import key_of

__all__ = ["IndexedSample", "ShardSamples"]


@dataclass(slots=True)
class IndexedSample:
    """Where a sample is.

    Attributes:
        key: Directory, and name up to its first dot.
        extensions: What is behind that dot, in lower case, of each file, in order.
        begin: Byte at which its first member begins, with its extended headers.
        end: Byte behind its last member.
        parts: Where it goes on, if members of others come in between.
    """

    key: str
    extensions: tuple[str, ...]
    begin: int
    end: int
    parts: list[tuple[int, int]] = field(default_factory=list)


class ShardSamples:
    """Groups the members of one shard to samples, as `group_samples` does, without their contents.

    Members of a sample that are apart make one sample, where that one makes two.

    Args:
        url: The shard's, for messages.

    Attributes:
        samples: In the order of their first members.
        dropped: How many files belong to none.

    Example:
        >>> shard = ShardSamples("ais://coco/0.tar")
        >>> for name, begin in [("a/1.jpg", 0), ("a/1.cls", 1024), ("a/2.jpg", 2048)]:
        ...     shard.add(name, begin, begin + 1024)
        >>> [(one.key, one.extensions, one.begin, one.end) for one in shard.samples]
        [('a/1', ('jpg', 'cls'), 0, 2048), ('a/2', ('jpg',), 2048, 3072)]
    """

    def __init__(self, url: str) -> None:
        self.samples: list[IndexedSample] = []
        self.dropped = 0
        self._url = url
        self._by_key: dict[str, IndexedSample] = {}
        self._latest: IndexedSample | None = None

    def add(self, name: str, begin: int, end: int) -> None:
        """Add a file, in the order of the shard.

        Raises:
            BadArchiveError: Its sample has a file with this extension already.
        """
        key = key_of(name)
        if not key:
            self.dropped += 1
            return
        extension = name[len(key) + 1 :].lower()
        sample = self._by_key.get(key)
        if sample is None:
            sample = self._by_key[key] = IndexedSample(key, (extension,), begin, end)
            self.samples.append(sample)
        else:
            self._extend(sample, name, extension, begin, end)
        self._latest = sample

    def whole(self) -> list[IndexedSample]:
        """Return the samples without that of the latest member, which may lack others."""
        return [sample for sample in self.samples if sample is not self._latest]

    def _extend(
        self, sample: IndexedSample, name: str, extension: str, begin: int, end: int
    ) -> None:
        if extension in sample.extensions:
            raise BadArchiveError(
                f"{name!r} in {self._url} is one more {extension!r} of sample {sample.key!r}, "
                "which random access cannot tell apart: rename it, or read the shard by "
                "AISShardReader"
            )
        sample.extensions += (extension,)
        if sample is not self._latest:
            sample.parts.append((begin, end))
        elif sample.parts:
            sample.parts[-1] = sample.parts[-1][0], end
        else:
            sample.end = end
