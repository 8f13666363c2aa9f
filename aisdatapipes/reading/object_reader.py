"""The reader that pipes and datasets have: a cluster, how to read it, and what was counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import IO, Literal, TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError, TooManyErrorsError
from aisdatapipes.etl import ETLCall
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy, OnError, ReadOptions
from aisdatapipes.reading.prefetcher import Outcome, prefetch
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["ObjectReader"]

T = TypeVar("T")


class ObjectReader:
    """Reads objects of a cluster, and counts over all processes that have a copy of it.

    It is plain data and pickles; connections are made where it reads.

    Args:
        endpoint: Address of the cluster.
        etl: What ETLs make of every object; None for the objects as they are.
        clusters: Endpoints, beside this one, that full URLs may lead to.
        max_inflight_bytes: Upper bound of the bytes that are requested and not consumed yet, as
            far as the sizes that came by tell.
        max_batch: Most objects in one GetBatch request; 1 reads every object by its own GET.
        concurrency: Most GETs at a time, where GetBatch does not apply.
        ordered: Yield in the order of the items; otherwise as objects arrive.
        on_error: See `OnError`.
        max_errors: Most objects to skip; None for any number.
        verify: ``"checksum"`` compares every object with the cluster's checksum.
        settings: Time-outs, retries and the memory for each stream.

    Attributes:
        report: The counters and the skipped URLs.
        options: How far it reads ahead.
        policy: What it does with errors.

    Raises:
        ValueError: A number is out of its range, a word is none of those that are known, or both
            `verify` and `etl` are given.
    """

    def __init__(
        self,
        endpoint: str,
        etl: ETLCall | None = None,
        *,
        clusters: Iterable[str] = (),
        max_inflight_bytes: int = ReadOptions.max_inflight_bytes,
        max_batch: int = ReadOptions.max_batch,
        concurrency: int = ReadOptions.concurrency,
        ordered: bool = True,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        verify: Literal["checksum"] | None = None,
        settings: Settings | None = None,
    ) -> None:
        if verify not in (None, "checksum"):
            raise ValueError(f"verify is {verify!r}: give 'checksum' or None")
        if verify and etl:
            raise ValueError("an ETL's results have no checksums: give verify or an ETL")
        settings = settings or Settings()
        # So that what concurrent GETs hold in memory stays within the budget.
        whole = min(settings.whole_object_bytes, max_inflight_bytes // max(concurrency, 1))
        self.policy = ErrorPolicy(on_error, max_errors)
        self.options = ReadOptions(max_inflight_bytes, max_batch, concurrency, ordered, whole)
        self.report = SharedCounters()
        self._endpoint = endpoint
        self._etl = etl
        self._clusters = [f"{cluster}/v1/" for cluster in clusters]
        self._is_verified = verify is not None
        self._settings = replace(settings, whole_object_bytes=whole)
        self._handler: tuple[int, ErrorHandler] | None = None

    def request_for(self, url: str) -> ObjectRequest:
        """Return the request for the object at `url`.

        Raises:
            InvalidURLError: It is not the URL of an object, or is on a cluster that was not given.
        """
        endpoint = self._endpoint
        for cluster in self._clusters:
            if url.startswith(cluster):
                endpoint = cluster.removesuffix("/v1/")
        return ObjectRequest.parse(
            url, endpoint, self._settings, self._etl, is_verified=self._is_verified
        )

    def open_all(
        self, items: Iterable[T], url_of: Callable[[T], str]
    ) -> Generator[tuple[T, IO[bytes] | None], None, None]:
        """Yield every item with its open file, ahead of the consumer; None for a skipped one.

        Args:
            items: What to read; in this order if ``options.ordered``.
            url_of: Returns the URL of an item.

        Raises:
            AISPipeError: An object cannot be opened and is not to be skipped.
        """
        handler = ErrorHandler(self.policy, self.report.tally())
        with closing(self._outcomes(items, url_of)) as outcomes:
            for outcome in outcomes:
                file = outcome.file or outcome.file_by(handler, url_of(outcome.item))
                yield outcome.item, file

    def read_all(
        self, items: Iterable[T], url_of: Callable[[T], str]
    ) -> Generator[tuple[T, bytes | None], None, None]:
        """Yield every item with its content, ahead of the consumer; None for a skipped one.

        Args:
            items: What to read; in this order if ``options.ordered``.
            url_of: Returns the URL of an item.

        Raises:
            AISPipeError: An object cannot be read and is not to be skipped.
        """
        handler = ErrorHandler(self.policy, self.report.tally())
        yield from self._contents(items, url_of, handler)

    def read_one(self, url: str) -> bytes:
        """Return the content of an object, or what ``on_error``, if it is a function, has for it.

        Raises:
            AISPipeError: It cannot be read, whatever else ``on_error`` says.
        """
        try:
            with closing(self._outcomes([url], str)) as outcomes:
                return _read(next(outcomes).result())
        except AISPipeError as error:
            content = self.policy.replacement(url, error)
            if content is None:
                raise
            return content

    def read_many(
        self, items: Sequence[T], url_of: Callable[[T], str], expected_bytes: float = 0
    ) -> list[tuple[T, bytes]]:
        """Return several items with their contents, in order, without those that are skipped.

        They are requested together, as far as budget and ``max_batch`` allow.

        Args:
            items: Which; one may come several times.
            url_of: Returns the URL of an item.
            expected_bytes: What each may have; 0 if unknown.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: There is none that could be read, or this process has skipped
                more than ``max_errors`` since the reader was made.
        """
        contents = self._contents(items, url_of, self._handler_here(), expected_bytes)
        found = [(item, content) for item, content in contents if content is not None]
        if items and not found:
            raise TooManyErrorsError(
                f"all {len(items)} objects of a batch were skipped, {url_of(items[0])!r} the first "
                "of them: see skipped_urls(), or let on_error raise to see why"
            )
        return found

    def _contents(
        self,
        items: Iterable[T],
        url_of: Callable[[T], str],
        handler: ErrorHandler,
        expected_bytes: float | None = None,
    ) -> Generator[tuple[T, bytes | None], None, None]:
        """Read the files; a big one may break in the middle."""
        with closing(self._outcomes(items, url_of, expected_bytes)) as outcomes:
            for outcome in outcomes:
                file = outcome.file or outcome.file_by(handler, url_of(outcome.item))
                try:
                    content = None if file is None else _read(file)
                except AISPipeError as error:
                    content = handler.content_for(url_of(outcome.item), error)
                yield outcome.item, content

    def _outcomes(
        self, items: Iterable[T], url_of: Callable[[T], str], expected_bytes: float | None = None
    ) -> Generator[Outcome[T], None, None]:
        def request_for(item: T) -> ObjectRequest:
            return self.request_for(url_of(item))

        return prefetch(items, request_for, self.options, self.report.tally(), expected_bytes)

    def _handler_here(self) -> ErrorHandler:
        if self._handler is None or self._handler[0] != os.getpid():
            self._handler = os.getpid(), ErrorHandler(self.policy, self.report.tally())
        return self._handler[1]

    def __getstate__(self) -> dict:
        return {**vars(self), "_handler": None}


def _read(file: IO[bytes]) -> bytes:
    with file:
        return file.read()
