"""Scattered ranges: parts of many objects at a time, as formats with an index ask for them.

Parts of one object that lie near each other are read as one. What is left goes into requests for
many at a time, by GetBatch where it serves them, else by concurrent range requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError, IncompleteReadError, ObjectNotFoundError
from aisdatapipes.metrics.counters import ProcessCounters, counting, current_counters
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.batches import BatchStream, can_batch
from aisdatapipes.reading.portions import portions
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry

__all__ = ["Part", "read_part", "read_scattered", "stream_parts"]

_MOST_PARTS = 256
_MOST_BYTES = 16 * 2**20
_GAP_BYTES = 16 * 2**10
_MOST_BREAKS = 4


@dataclass(frozen=True)
class Part:
    """Bytes of an object, from `begin` to before `end`; clipped at the object's end."""

    request: ObjectRequest
    begin: int
    end: int


def read_scattered(
    parts: Sequence[Part],
    concurrency: int,
    max_gap: int | None = None,
    counters: ProcessCounters | None = None,
) -> list[bytes | AISPipeError]:
    """Return the bytes of every part, or the error that there is in place of them, in order.

    Args:
        parts: Of any objects of one cluster.
        concurrency: Most requests at a time.
        max_gap: Bytes between two parts of an object that are read and thrown away, for one
            request less; default 16 KiB.
        counters: Where to count.
    """
    order = sorted(range(len(parts)), key=lambda place: _order(parts[place]))
    groups = list(_merged(parts, order, _GAP_BYTES if max_gap is None else max_gap))
    results: list[bytes | AISPipeError] = [b""] * len(parts)
    read = partial(_read_chunk, counters=counters)
    with BackgroundPool(concurrency) as pool:
        chunks = list(_chunks(groups, concurrency))
        for chunk, contents in zip(chunks, pool.map(read, chunks), strict=True):
            for (whole, places), content in zip(chunk, contents, strict=True):
                for place in places:
                    results[place] = _cut(content, whole, parts[place])
    return results


def read_part(part: Part) -> bytes:
    """Return the bytes of one part, by a request of its own.

    Raises:
        AISPipeError: As `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """
    if part.begin >= part.end:
        return b""
    return retry(partial(_receive, part), part.request)


_Group = tuple[Part, list[int]]
"""What is read as one, and the places of the parts that are in it."""


def _order(part: Part) -> tuple[str, str, int]:
    url = part.request.url
    return url.bucket_url, url.name, part.begin


def _merged(parts: Sequence[Part], order: Sequence[int], max_gap: int) -> Iterator[_Group]:
    whole: Part | None = None
    places: list[int] = []
    for place in order:
        part = parts[place]
        if part.begin >= part.end:
            continue
        if whole and whole.request == part.request and _are_near(whole, part, max_gap):
            whole = Part(whole.request, whole.begin, max(whole.end, part.end))
            places.append(place)
            continue
        if whole:
            yield whole, places
        whole, places = part, [place]
    if whole:
        yield whole, places


def _are_near(first: Part, second: Part, max_gap: int) -> bool:
    is_small = max(first.end, second.end) - first.begin <= _MOST_BYTES
    return second.begin <= first.end or (is_small and second.begin - first.end <= max_gap)


def _chunks(groups: Sequence[_Group], concurrency: int) -> Iterator[list[_Group]]:
    """Split the work into requests of a size, and into some at least for each thread."""
    most_parts = min(_MOST_PARTS, max(1, -(-len(groups) // concurrency)))
    return portions(groups, _length, _MOST_BYTES, most_parts)


def _length(group: _Group) -> int:
    whole, _ = group
    return whole.end - whole.begin


def _read_chunk(
    chunk: Sequence[_Group], counters: ProcessCounters | None
) -> list[bytes | AISPipeError]:
    with counting(counters):
        return list(stream_parts([whole for whole, _ in chunk]))


def stream_parts(
    parts: Sequence[Part], concurrency: int = 1, colocation: int = 0
) -> Iterator[bytes | AISPipeError]:
    """Yield the bytes of every part as they come, or the error in place of them, in order.

    By one GetBatch where it serves them; what it breaks off at is requested alone, and what is
    behind that by another one. An object that ends before a part breaks it off.

    Args:
        parts: Of any objects of one cluster, none of them empty.
        concurrency: Most requests at a time where GetBatch does not serve them.
        colocation: See `ReadOptions`.
    """
    if len(parts) > 1 and not all(_is_served(part.request) for part in parts):
        yield from _one_by_one(parts, concurrency)
        return
    at = breaks = 0
    while at < len(parts):
        if len(parts) - at > 1 and breaks <= _MOST_BREAKS:
            for found in _by_batch(parts[at:], colocation):
                yield found
                at += 1
            breaks += 1
        if at < len(parts):
            yield _alone(parts[at])  # which says what is wrong with it
            at += 1


def _one_by_one(parts: Sequence[Part], concurrency: int) -> Iterator[bytes | AISPipeError]:
    counters = current_counters()

    def read(part: Part) -> bytes | AISPipeError:
        with counting(counters):
            return _alone(part)

    with BackgroundPool(concurrency) as pool:
        yield from pool.map(read, parts)


def _by_batch(parts: Sequence[Part], colocation: int) -> Iterator[bytes | AISPipeError]:
    """Yield what comes of the first parts, as far as GetBatch serves them."""
    requests = [part.request for part in parts]
    ranges = [(part.begin, part.end) for part in parts]
    try:
        stream = BatchStream(requests, ranges, colocation)
    except AISPipeError:
        return
    try:
        for part in parts:
            try:
                size = stream.next_size(part.request)
            except ObjectNotFoundError:
                yield _alone(part)
                continue
            if size != part.end - part.begin:
                return
            yield stream.content()
        stream.finish()
    except AISPipeError:
        return
    finally:
        stream.close()


def _is_served(request: ObjectRequest) -> bool:
    # GetBatch asks no cloud: docs/get_batch.md
    return request.url.provider == "ais" and can_batch(request)


def _alone(part: Part) -> bytes | AISPipeError:
    try:
        return read_part(part)
    except AISPipeError as error:
        return error


def _receive(part: Part) -> bytes:
    request = part.request
    try:
        response = request.send(part.begin, part.end - 1)
    except IncompleteReadError:  # the object ends before the part begins
        return b""
    with translated_errors(request.url, request.endpoint):
        content = response.read()
    response.release_conn()
    if response.status != HTTPStatus.PARTIAL_CONTENT:  # a cloud's object that is not cached yet
        return content[part.begin : part.end]
    announced = response.headers.get("Content-Length")
    if announced is not None and int(announced) != len(content):
        raise IncompleteReadError(
            f"{len(content)} of {announced} bytes came of a part of {request.label}"
        )
    return content


def _cut(content: bytes | AISPipeError, whole: Part, part: Part) -> bytes | AISPipeError:
    if isinstance(content, AISPipeError) or whole == part:
        return content
    return content[part.begin - whole.begin : part.end - whole.begin]
