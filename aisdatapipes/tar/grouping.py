"""Samples: the members of a tar that share a key, as WebDataset groups them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.tar.headers import escaped
from aisdatapipes.tar.reader import File

__all__ = ["Sample", "group_samples", "key_of"]

logger = logging.getLogger(__name__)

_META_NAME = re.compile(r"__[^/]*__($|/)")
_NO_NAME = "\0"


class Sample(NamedTuple):
    """The members that share a key.

    Attributes:
        key: Directory, and name up to its first dot.
        files: Content by extension: what is behind that dot, in lower case.
        end: Where in the archive the members behind it begin; None if it is compressed.
    """

    key: str
    files: dict[str, bytes]
    end: int | None


def group_samples(
    files: Iterable[File], url: str = "", counters: ProcessCounters | None = None
) -> Iterator[Sample]:
    """Group the files of one shard to samples: neighbours whose names share a key.

    A key that comes back after another one begins a new sample. Left out, and counted in a line
    of the log, are members that have no key or no extension (``README``, ``.hidden``) and those
    that WebDataset keeps for itself (``__meta__/…``).

    Args:
        files: Names and contents, in the order of the shard, and where each ends.
        url: The shard's, for messages.
        counters: Where to count what is left out.

    Raises:
        BadArchiveError: Two members of a sample have the same extension.

    Example:
        >>> names = ["a/1.jpg", "a/1.SEG.png", "a/2.jpg"]
        >>> for sample in group_samples((name, b"image", None) for name in names):
        ...     print(sample.key, sorted(sample.files))
        a/1 ['jpg', 'seg.png']
        a/2 ['jpg']

    Source:
        ``group_by_keys`` and ``tar_file_iterator`` of webdataset 1.0.2. It makes a sample of
        hidden files in a directory, and one extension of a name that ends in a dot.
    """
    found: dict[str, bytes] = {}
    key, stem, end, dropped = "", _NO_NAME, None, 0
    for name, content, following in files:
        extension = name[len(stem) :].lower() if name.startswith(stem) else ""
        if not extension or "/" in extension:
            found_key, extension = _split(name)
            if extension and found_key != key:
                if found:
                    yield Sample(key, found, end)
                key, found, stem = found_key, {}, _stem_of(found_key)
        if extension in found:
            raise BadArchiveError(
                f"{name!r} in {escaped(url)} is one more {extension!r} of sample {key!r}: rename it"
            )
        if extension:
            found[extension] = content
        else:
            dropped += 1
        end = following
    if found:
        yield Sample(key, found, end)
    if dropped:
        shard = escaped(url)
        logger.info("%s: %d members are dropped, they belong to no sample", shard, dropped)
        if counters:
            counters.add("dropped", dropped)


def key_of(name: str) -> str:
    """Return the key of a member's sample; empty if it belongs to none.

    Example:
        >>> key_of("a/1.seg.png"), key_of("README")
        ('a/1', '')
    """
    key, extension = _split(name)
    return key if extension else ""


def _stem_of(key: str) -> str:
    """Return how the names of all members of a sample begin; no name's, if that is not enough."""
    return _NO_NAME if key.startswith("__") else key + "."


def _split(name: str) -> tuple[str, str]:
    """Return key and extension of a member's name, both empty if it belongs to no sample."""
    if name[:2] == "__" and _META_NAME.match(name):
        return "", ""
    directory, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    if not stem:
        return "", ""
    return directory + slash + stem, extension.lower()
