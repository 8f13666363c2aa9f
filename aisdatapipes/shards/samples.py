"""Shards: the samples of many tar objects, the next shard opened while one is read."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import IO

from aisdatapipes.errors import AISPipeError, ObjectChangedError
from aisdatapipes.manifests.manifest import ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy, ReadOptions
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import ObjectStream, size_of
from aisdatapipes.tar import Sample, SupportsRead, TarReader, group_samples

__all__ = ["SHARD_OPTIONS", "check_size", "read_samples", "samples_of", "unbuffered"]

SHARD_OPTIONS = ReadOptions(max_batch=1, concurrency=2)
"""A GET for each shard, of which few are open: one is big enough to fill the wire."""


def read_samples(
    urls: Iterable[str],
    parse: Callable[[str], ObjectRequest],
    policy: ErrorPolicy,
    tally: ProcessCounters,
) -> Generator[tuple[str, Sample], None, None]:
    """Yield every sample of every shard, with the shard's URL.

    A shard that fails in its middle after some samples is skipped from there on; content that
    the policy gives in its place is read behind as many samples.

    Args:
        urls: The shards.
        parse: Makes the request for a URL.
        policy: What to do with shards that cannot be read.
        tally: Where to count; objects are the shards.

    Raises:
        BadArchiveError: A shard is no tar, has links, or a sample has an extension twice.
        IncompleteReadError: A shard ends before the end mark of a tar.
        AISPipeError: A shard cannot be read.
    """
    skips = ErrorHandler(policy, tally)
    with closing(prefetch(urls, parse, SHARD_OPTIONS, tally)) as shards:
        for outcome in shards:
            url = outcome.item
            if file := outcome.file_by(skips, url):
                for sample in _read_shard(url, file, skips, tally):
                    yield url, sample


def _read_shard(
    url: str, file: IO[bytes], skips: ErrorHandler, tally: ProcessCounters
) -> Iterator[Sample]:
    done = 0
    try:
        with unbuffered(file) as shard:
            for sample in samples_of(shard, url, tally):
                yield sample
                done += 1
    except AISPipeError as error:
        content = skips.content_for(url, error)
        if content is not None:
            yield from islice(samples_of(io.BytesIO(content), url, tally), done, None)


def samples_of(
    file: SupportsRead, url: str, tally: ProcessCounters | None = None, begin: int = 0
) -> Iterator[Sample]:
    """Yield the samples of an open shard, or of one that is open from byte `begin` on."""
    return group_samples(TarReader(file, url, begin).files(), url, tally)


def unbuffered(file: IO[bytes]) -> IO[bytes] | io.RawIOBase:
    """Return the file under a stream: the reader of tars asks for large pieces itself."""
    return file.detach() if isinstance(file, ObjectStream) else file


def check_size(entry: ManifestEntry, file: IO[bytes], begin: int) -> None:
    """Make sure that a shard that is taken up in its middle is the one that was begun.

    Args:
        entry: The shard as it was listed.
        file: The shard, open from byte `begin` on.
        begin: Where it is taken up.

    Raises:
        ObjectChangedError: Its size is another one now.
    """
    size = size_of(file) if isinstance(file, ObjectStream) else begin + size_of(file)
    if entry.size not in (-1, size):
        raise ObjectChangedError(
            f"{entry.url} had {entry.size} bytes when it was listed, now it has {size}: it cannot "
            "be taken up in its middle; start its epoch anew"
        )
