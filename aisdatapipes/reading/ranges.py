"""Ranges: many parts of one object, such as the samples of a shard, by few requests.

GetBatch reads hundreds of ranges at a time, but its answer tells nothing of the object's version.
So the first and the last range of each chunk are read by range requests, which do: where both
are of one version, so is what came between them. A chunk is given out when that is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial

from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import ClusterError, IncompleteReadError, ObjectChangedError
from aisdatapipes.metrics.counters import ProcessCounters, counting, current_counters
from aisdatapipes.reading.batches import BatchStream, can_batch
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.retries import retry
from aisdatapipes.reading.version import ObjectVersion, is_other

__all__ = ["read_range", "read_ranges"]

Range = tuple[int, int]
"""The first byte, and that behind the last one."""

_MOST_RANGES = 256
_FEW_RANGES = 4

_logger = logging.getLogger(__name__)


def read_ranges(
    request: ObjectRequest,
    ranges: Sequence[Range],
    counters: ProcessCounters | None = None,
    fingerprint: str = "",
) -> Iterator[bytes]:
    """Yield the bytes of every range of an object, in the order of the ranges.

    At most some hundred ranges, or ``settings.whole_object_bytes``, are held in memory.

    Args:
        request: The object.
        ranges: From which byte on, and before which it ends; they may overlap and be empty.
        counters: Where to count the requests; default where the caller counts.
        fingerprint: Of the object that they are to be of, see `ObjectVersion`; empty for any.

    Raises:
        ObjectNotFoundError: There is no such object.
        ObjectChangedError: It was replaced by another one while it was read, as far as
            `ObjectVersion` can tell.
        IncompleteReadError: It ends before a range does.
        AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """
    reader = _RangeReader(request, counters or current_counters(), fingerprint)
    for chunk in _chunks(ranges, request.settings.whole_object_bytes):
        # Of a cluster that cannot be reached the client itself has tried every node again.
        yield from retry(partial(reader.read, chunk), request)


def read_range(request: ObjectRequest, first_byte: int, last_byte: int) -> bytes:
    """Return the bytes of an object from a first to a last one, both included; see `read_ranges`.

    Raises:
        IncompleteReadError: The object ends before.
        AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """
    return next(read_ranges(request, [(first_byte, last_byte + 1)]))


class _RangeReader:
    """Reads chunks of ranges, all of one version of the object."""

    def __init__(
        self, request: ObjectRequest, counters: ProcessCounters | None, fingerprint: str
    ) -> None:
        self._request = request
        self._fingerprint = fingerprint
        self._counters = counters
        # GetBatch asks no cloud: docs/get_batch.md
        self._can_batch = request.url.provider == "ais" and can_batch(request)
        self._version: ObjectVersion | None = None  # until the first response

    def read(self, ranges: list[Range]) -> list[bytes]:
        """Return the bytes of a chunk of ranges."""
        wanted = [one for one in ranges if one[0] < one[1]]
        with counting(self._counters):
            contents = iter(self._read(wanted))
        return [next(contents) if begin < end else b"" for begin, end in ranges]

    def _read(self, ranges: list[Range]) -> list[bytes]:
        if len(ranges) < _FEW_RANGES or not self._can_batch:
            return [self._read_one(one) for one in ranges]
        first = self._read_one(ranges[0])
        try:
            between = self._read_batch(ranges[1:-1])
        except ClusterError as error:
            _logger.warning("reading ranges without GetBatch: %s", error)
            self._can_batch = False
            return self._read(ranges)
        return [first, *between, self._read_one(ranges[-1])]

    def _read_one(self, one: Range) -> bytes:
        begin, end = one
        response = self._response(begin, end - 1)
        with translated_errors(self._request.url, self._request.endpoint):
            content = response.read()
        response.release_conn()
        self._check_length(one, len(content))
        return content

    def _response(self, first_byte: int, last_byte: int) -> BaseHTTPResponse:
        if self._version:
            return self._version.request_range(first_byte, last_byte)
        response = self._request.send(first_byte, last_byte)
        version = ObjectVersion(self._request, response)
        if is_other(self._fingerprint, version.fingerprint):
            response.close()
            raise ObjectChangedError(f"{self._request.label} was replaced: open it again")
        self._version = version
        return response

    def _read_batch(self, ranges: list[Range]) -> list[bytes]:
        contents: list[bytes] = []
        stream = BatchStream([self._request] * len(ranges), ranges)
        try:
            for one in ranges:
                self._check_length(one, stream.next_size(self._request))
                contents.append(stream.content())
            stream.finish()
        finally:
            stream.close()
        return contents

    def _check_length(self, one: Range, length: int) -> None:
        begin, end = one
        if length != end - begin:
            raise IncompleteReadError(
                f"{length} bytes came of bytes {begin} to {end - 1} of {self._request.label}"
            )


def _chunks(ranges: Sequence[Range], most_bytes: int) -> Iterator[list[Range]]:
    """Split ranges into lists that are not too long, nor have too many bytes."""
    chunk: list[Range] = []
    size = 0
    for begin, end in ranges:
        if chunk and (len(chunk) == _MOST_RANGES or size + end - begin > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append((begin, end))
        size += end - begin
    if chunk:
        yield chunk
