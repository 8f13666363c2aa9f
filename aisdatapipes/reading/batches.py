"""Batches: many small objects in one request, AIStore's GetBatch, each entry verified.

The answer is one tar stream with an entry for every object, in the order of the request. A
stream that breaks may look complete, so nothing is taken by position alone: every entry must
have the name that is due, and a missing object is found by its ``__404__`` mark.

Source: ``docs/get_batch.md`` of AIStore v1.5.0 and what a real node answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aistore.sdk.const import (
    GB_BCK,
    GB_CONTINUE_ERR,
    GB_IN,
    GB_LENGTH,
    GB_OBJNAME,
    GB_OUTPUT_FMT,
    GB_PROVIDER,
    GB_START,
    GB_STRM_GET,
    HTTP_METHOD_GET,
    QPARAM_COLOC,
    URL_PATH_GB,
)
from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.connection import bucket_for, suspect_outage
from aisdatapipes.client.knowledge import known_cluster, remember_cluster
from aisdatapipes.client.patience import had_trouble, ongoing_trouble
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import (
    AISPipeError,
    BadArchiveError,
    ClusterTimeoutError,
    CutArchiveError,
    IncompleteReadError,
    ObjectNotFoundError,
)
from aisdatapipes.metrics.counters import increment
from aisdatapipes.reading.direct import is_silent
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.tar import TarReader
from aisdatapipes.urls import is_utf8

__all__ = ["BatchStream", "can_batch"]

_MISSING = "__404__/"
_STALLED_S = 5.0
# For how long the next ones may be silent too, where one was: AIStore's targets talk to each other
# over connections that they keep, and that the return of one of them has broken.
_SILENCE_S = 120.0
# What a batch may take: so long, and a second more for so many bytes.
_SLOW_S = 10.0
_SLOW_BYTES_PER_S = 100 * 2**10
# What is taken at a time where it flows, some objects, and how long that may take.
_PIECE_OBJECTS = 4
_PIECE_BYTES = 64 * 2**10
_FLOW_S = 0.05
# How often this process looks whether others found them silent.
_ASK_AGAIN_S = 0.5

_logger = logging.getLogger(__name__)


def can_batch(request: ObjectRequest) -> bool:
    """Whether GetBatch reads this object as it is.

    It knows no ETL, gives no checksums, takes an object of a namespace for another one, and
    names objects by JSON, which is UTF-8. And it waits long for the objects of a target that does
    not answer, which holds up those of all others; so do the batches after one that fell silent.
    """
    url = request.url
    in_namespace = url.uuid or url.namespace
    if request.etl or request.is_verified or in_namespace or not is_utf8(url.name):
        return False
    if _are_silent(request.endpoint):
        return False
    trouble = ongoing_trouble(request.endpoint)
    if trouble is None or not trouble.silent:
        return True
    bucket = bucket_for(url, request.endpoint, request.settings)
    return not is_silent(bucket, url.name, trouble.silent)


# By endpoint: when it was asked whether batches are silent, and until when they are.
_silent_until: dict[str, tuple[float, float]] = {}


def _are_silent(endpoint: str) -> bool:
    now = time.monotonic()
    asked, until = _silent_until.get(endpoint, (float("-inf"), 0.0))
    if now - asked > _ASK_AGAIN_S:  # for each object it would cost as much as to read it
        until = known_cluster(endpoint).no_batch_until
        _silent_until[endpoint] = now, until
    return now < until


class BatchStream:
    """The answer to one GetBatch request, read entry by entry, in order.

    Args:
        requests: The objects; `can_batch` holds for each, and endpoint and settings are equal.
        ranges: Which part of each to read, from a first byte to before another; there is at
            least one byte in each. None for whole objects.
        colocation: See `ReadOptions`.

    Raises:
        AISPipeError: The cluster refused the request as a whole.
    """

    def __init__(
        self,
        requests: Sequence[ObjectRequest],
        ranges: Sequence[tuple[int, int]] | None = None,
        colocation: int = 0,
    ) -> None:
        first = requests[0]
        self._url, self._endpoint, self._settings = first.url, first.endpoint, first.settings
        increment("requests")
        with self._translated_errors():
            self._response = _send(requests, ranges, colocation)
        self._piece_bytes = _PIECE_BYTES
        self._flows = False
        self._waited_s = 0.0
        self._received_bytes = 0
        self._tar = TarReader(self, f"GetBatch at {self._endpoint}")

    def read(self, size: int) -> bytes:
        """Return the next bytes of the tar stream, for the reader of its entries."""
        began = time.monotonic()
        with self._translated_errors():
            # At first, and where it comes in drops, no object waits for the next ones.
            if self._flows:
                piece = self._response.read(min(size, self._piece_bytes))
            else:
                piece = self._response.read1(size)
            waited_s = time.monotonic() - began
            self._flows = waited_s < _FLOW_S
            self._waited_s += waited_s
            self._received_bytes += len(piece)
            if self._waited_s > _SLOW_S + self._received_bytes / _SLOW_BYTES_PER_S:
                # One after the other its objects are faster: they come from all targets at once.
                raise ClusterTimeoutError(f"a batch at {self._endpoint} comes too slowly")
        return piece

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            with translated_errors(self._url, self._endpoint):
                yield
        except ClusterTimeoutError:
            remember_cluster(self._endpoint, no_batch_until=time.monotonic() + _SILENCE_S)
            _silent_until.pop(self._endpoint, None)
            suspect_outage(self._endpoint, self._settings, began)
            raise

    def next_size(self, request: ObjectRequest) -> int:
        """Go to the next entry, which is due to be that of `request`, and return its bytes.

        Raises:
            ObjectNotFoundError: The cluster has no such object.
            IncompleteReadError: The stream ended or goes on with another entry.
        """
        due = f"{request.url.bucket}/{request.url.name}"
        try:
            member = self._tar.next_member()
        except (BadArchiveError, CutArchiveError) as error:
            raise IncompleteReadError(str(error)) from None
        if member is not None and member.name == due:
            self._piece_bytes = max(_PIECE_BYTES, _PIECE_OBJECTS * member.size)
            return member.size
        if member is not None and member.name == _MISSING + due:
            raise ObjectNotFoundError(f"no object {due!r} at {self._endpoint}")
        found = "ended" if member is None else f"has {member.name!r}"
        raise IncompleteReadError(f"a batch at {self._endpoint} {found} where {due!r} is due")

    def content(self) -> bytes:
        """Return the content of the entry that `next_size` went to.

        Raises:
            IncompleteReadError: The stream ended within it.
        """
        try:
            return self._tar.read()
        except CutArchiveError as error:  # it is the stream that was cut, and no shard
            raise IncompleteReadError(str(error)) from None

    def finish(self) -> None:
        """Read the end of the stream, so that its connection serves the next request.

        All entries have come, each verified; if the end is not as it should be, hang up.
        """
        try:
            if self._tar.next_member() is None and not self.read(1):
                self._response.release_conn()
                return
        except AISPipeError as error:
            _logger.info("a batch that came whole has a bad end: %s", error)
        self.close()

    def close(self) -> None:
        """Hang up; does nothing on a finished stream."""
        self._response.close()


def _send(
    requests: Sequence[ObjectRequest],
    ranges: Sequence[tuple[int, int]] | None,
    colocation: int,
) -> BaseHTTPResponse:
    """Request all of them as one streamed tar, the missing ones marked.

    Not by the SDK's ``Batch``, which makes and checks a model of every entry: for small objects
    that is a tenth of all the time.
    """
    first = requests[0]
    entries: list[dict[str, str | int]] = [
        {GB_OBJNAME: url.name, GB_BCK: url.bucket, GB_PROVIDER: url.provider}
        for url in (request.url for request in requests)
    ]
    for entry, (begin, end) in zip(entries, ranges or (), strict=False):
        entry |= {GB_START: begin, GB_LENGTH: end - begin}
    body = {GB_IN: entries, GB_OUTPUT_FMT: ".tar", GB_CONTINUE_ERR: True, GB_STRM_GET: True}
    client = bucket_for(first.url, first.endpoint, first.settings).client
    params = {QPARAM_COLOC: str(int(colocation))} if colocation else {}
    return client.request(
        HTTP_METHOD_GET,
        path=URL_PATH_GB,
        params=params,
        stream=True,
        json=body,
        timeout=(first.settings.connect_timeout_s, _most_silence_s(first)),
    ).raw


def _most_silence_s(request: ObjectRequest) -> float:
    """Return for how long a batch may be silent.

    Less where targets have just come: the first batches go over connections between them that
    were broken when one of them restarted, and hang; another batch then goes over new ones. And
    less where that would be most of the time that anyone waits for an outage.
    """
    settings = request.settings
    most = settings.outage_deadline_s / 2 or settings.read_timeout_s
    most = _STALLED_S if had_trouble(request.endpoint) else max(most, _STALLED_S)
    return min(settings.read_timeout_s, most)
