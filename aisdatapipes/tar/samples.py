"""Samples: the members of a tar that share a key, as WebDataset groups them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

from aisdatapipes.errors import BadArchiveError

__all__ = ["group_samples"]

logger = logging.getLogger(__name__)

_META_NAME = re.compile(r"__[^/]*__($|/)")


def group_samples(members: Iterable[tuple[str, bytes]], url: str = "") -> Iterator[dict[str, Any]]:
    """Group the members of one shard to samples: neighbours whose names share a key.

    The key is the directory and the name up to its first dot; what is behind the dot, in
    lower case, is the extension. A key that comes back after another one begins a new sample.
    Left out, and counted in a line of the log, are members that have no key or no extension
    (``README``, ``.hidden``) and those that WebDataset keeps for itself (``__meta__/…``).

    Args:
        members: Names and contents, in the order of the shard.
        url: The shard's, for the samples' ``__url__`` and for messages.

    Yields:
        ``{"__key__": key, "__url__": url, extension: content, …}``.

    Raises:
        BadArchiveError: Two members of a sample have the same extension.

    Example:
        >>> members = [("a/1.jpg", b"image"), ("a/1.SEG.png", b"mask"), ("a/2.jpg", b"image")]
        >>> [sorted(sample) for sample in group_samples(members)]
        [['__key__', '__url__', 'jpg', 'seg.png'], ['__key__', '__url__', 'jpg']]

    Source:
        ``group_by_keys`` and ``tar_file_iterator`` of webdataset 1.0.2. It makes a sample of
        hidden files in a directory, and one extension of a name that ends in a dot.
    """
    sample: dict[str, Any] = {}
    names: list[str] = []
    sample_key = ""
    left_out = 0
    for name, content in members:
        key, extension = _split(name)
        if not extension:
            left_out += 1
            continue
        if key != sample_key:
            if sample:
                yield sample
            sample_key, sample, names = key, {"__key__": key, "__url__": url}, []
        if extension in sample:
            raise BadArchiveError(_duplicate(name, extension, names, url))
        sample[extension] = content
        names.append(name)
    if sample:
        yield sample
    if left_out:
        logger.info("%s: %d members are left out, they belong to no sample", url, left_out)


def _split(name: str) -> tuple[str, str]:
    """Return key and extension of a member's name, both empty if it belongs to no sample."""
    if name[:2] == "__" and _META_NAME.match(name):
        return "", ""
    directory, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    if not stem:
        return "", ""
    return directory + slash + stem, extension.lower()


def _duplicate(name: str, extension: str, names: list[str], url: str) -> str:
    first = next((first for first in names if _split(first)[1] == extension), None)
    if first is None:
        return f"{name!r} in {url} has an extension that every sample has: rename it"
    return f"{name!r} in {url} is one more {extension!r} of its sample, after {first!r}: rename it"
