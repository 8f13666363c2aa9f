"""Reading a shard, and the one place that says what happens if it fails.

Everything that reads shards comes by `read_shard`: pipes, datasets, padding, streams and counts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import IO, Any, TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError, BadArchiveError, ObjectChangedError
from aisdatapipes.manifests.manifest import ManifestEntry
from aisdatapipes.metrics.counters import ProcessCounters
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.reading.prefetcher import Outcome
from aisdatapipes.reading.streams import ObjectStream, fingerprint_of, size_of
from aisdatapipes.reading.version import is_other
from aisdatapipes.tar import File, Sample, SupportsRead, TarReader, group_samples

__all__ = [
    "SHARD_OPTIONS",
    "ContentFor",
    "Parse",
    "files_parser",
    "read_shard",
    "resumable",
    "sample_dict",
    "samples_parser",
]

SHARD_OPTIONS = ReadOptions(max_batch=1, concurrency=2)
"""A GET for each shard, of which few are open: one is big enough to fill the wire."""

ContentFor = Callable[[str, AISPipeError], "bytes | None"]
"""Returns a tar to read in place of a shard that failed, or None to skip it; or raises."""

_T = TypeVar("_T")

Parse = Callable[[SupportsRead, str, "int | None"], Iterator[_T]]
"""Yields what is in an open shard, of a URL, that is open from a byte on. None for that byte says
that it can only be read from its beginning: then nothing that is yielded has a place in it."""


def read_shard(
    url: str,
    outcome: Outcome,
    parse: Parse[_T],
    content_for: ContentFor,
    begin: int | None = 0,
    done: int = 0,
) -> Iterator[_T]:
    """Yield what is in a shard and was not read before.

    A shard that fails after some of it is skipped from there on. A tar that comes in its place
    is read behind as much.

    Args:
        url: The shard's.
        outcome: The shard, open from `begin` on, or the reason why it cannot be opened.
        parse: Yields samples, or files.
        content_for: What happens if it fails.
        begin: Byte from which on it is open; None if it can only be read from its beginning.
        done: How much was read before. If the shard is open from its beginning, that is left out.

    Raises:
        AISPipeError: The shard cannot be read, and `content_for` raises.
    """
    try:
        with _unbuffered(outcome.result()) as shard:
            for found in islice(parse(shard, url, begin), 0 if begin else done, None):
                done += 1
                yield found
    except AISPipeError as error:
        content = content_for(url, error)
        if content is not None:
            replacement = parse(io.BytesIO(content), f"what on_error gave for {url}", None)
            yield from islice(replacement, done, None)


def resumable(
    outcome: Outcome[_T], entry: ManifestEntry, begin: int | None, fingerprint: str = ""
) -> Outcome[_T]:
    """Return the outcome, or an error in its place if it is another shard than was begun.

    Args:
        outcome: A shard that is open from byte `begin` on, or the reason why it is not.
        entry: The shard as it was listed.
        begin: None or 0 for the beginning.
        fingerprint: Of the shard that was begun; empty if unknown.
    """
    file = outcome.file
    if file is None:
        is_replaced = _ends_before(outcome.error, entry, begin)
    elif fingerprint:
        is_replaced = is_other(fingerprint, fingerprint_of(file))
    else:
        is_replaced = _has_other_size(file, entry, begin)
    if not is_replaced:
        return outcome
    if file is not None:
        file.close()
    error = ObjectChangedError(
        f"{entry.url} was replaced since it was begun: it cannot be resumed in its middle; start "
        "its epoch again"
    )
    return Outcome(outcome.item, None, error)


def _has_other_size(file: IO[bytes], entry: ManifestEntry, begin: int | None) -> bool:
    """Whether a shard that is resumed in its middle has another size than was listed."""
    if not begin:
        return False
    size = size_of(file) if isinstance(file, ObjectStream) else begin + size_of(file)
    return entry.size not in (-1, size)


def _ends_before(error: AISPipeError | None, entry: ManifestEntry, begin: int | None) -> bool:
    """Whether a shard ends before the byte at which it is to be resumed; one that is cut may."""
    status = error.status_code if error else 0
    return status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and entry.size != begin


def samples_parser(settings: Settings, counters: ProcessCounters | None = None) -> Parse[Sample]:
    """Return what yields the samples of a shard.

    Args:
        settings: Have the limits.
        counters: Where to count members that belong to no sample.
    """
    return partial(_parse_samples, settings.max_member_bytes, counters)


def sample_dict(url: str, sample: Sample) -> dict[str, Any]:
    """Return a sample in WebDataset's form: its files by extension, its key and its shard.

    Raises:
        BadArchiveError: It has a file whose extension is the name of one of the other two.

    Example:
        >>> sample_dict("ais://coco/0.tar", Sample("a/1", {"cls": b"7"}, None))
        {'__key__': 'a/1', '__url__': 'ais://coco/0.tar', 'cls': b'7'}
    """
    found = {"__key__": sample.key, "__url__": url, **sample.files}
    if len(found) < len(sample.files) + 2:
        raise BadArchiveError(
            f"sample {sample.key!r} in {url} has a member '.__key__' or '.__url__', which is the "
            "name of what every sample has: rename it"
        )
    return found


def files_parser(settings: Settings) -> Parse[File]:
    """Return what yields the files of a shard; `settings` have the limits."""
    return partial(_parse_files, settings.max_member_bytes)


def _parse_samples(
    most: int, counters: ProcessCounters | None, file: SupportsRead, url: str, begin: int | None
) -> Iterator[Sample]:
    samples = group_samples(TarReader(file, url, begin or 0, most).files(), url, counters)
    return samples if begin is not None else (one._replace(end=None) for one in samples)


def _parse_files(most: int, file: SupportsRead, url: str, begin: int | None) -> Iterator[File]:
    files = TarReader(file, url, begin or 0, most).files()
    return files if begin is not None else ((name, content, None) for name, content, _ in files)


def _unbuffered(file: IO[bytes]) -> IO[bytes] | io.RawIOBase:
    """Return the file under a stream: the reader of tars asks for large pieces itself."""
    return file.detach() if isinstance(file, ObjectStream) else file
