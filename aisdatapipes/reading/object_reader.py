"""The reader that pipes and datasets have: a cluster, how to read it, and what was counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import IO, TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError, TooManyErrorsError
from aisdatapipes.etl import ETLCall
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ErrorHandler, ErrorPolicy, ReadOptions
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
        options: How far and how much it reads ahead.
        policy: What it does with errors.
        settings: Time-outs, retries and the memory for each stream.

    Attributes:
        endpoint: As given.
        counters: Over all its processes, with the skipped URLs.
        options: How far it reads ahead.
        policy: What it does with errors.
        settings: Time-outs, retries and the memory for each stream.

    Raises:
        ValueError: Both ``verify`` and `etl` are given.
    """

    def __init__(
        self,
        endpoint: str,
        etl: ETLCall | None = None,
        *,
        clusters: Iterable[str] = (),
        options: ReadOptions | None = None,
        policy: ErrorPolicy | None = None,
        settings: Settings | None = None,
    ) -> None:
        options, settings = options or ReadOptions(), settings or Settings()
        if options.verify and etl:
            raise ValueError("an ETL's results have no checksums: give verify or an ETL")
        # So that what concurrent GETs hold in memory stays within the budget.
        most = options.max_inflight_bytes // options.concurrency
        whole = min(settings.whole_object_bytes, most)
        self.policy = policy or ErrorPolicy()
        self.options = replace(options, whole_object_bytes=whole)
        self.settings = replace(settings, whole_object_bytes=whole)
        self.counters = SharedCounters()
        self.endpoint = endpoint
        self._etl = etl
        self._clusters = [f"{cluster}/v1/" for cluster in clusters]
        self._handler: tuple[int, ErrorHandler] | None = None

    def reads_like(self, other: ObjectReader) -> bool:
        """Whether it makes the same of a URL as another one, but for the counters."""
        return self._setup == other._setup

    @property
    def _setup(self) -> tuple[object, ...]:
        how = self.options, self.policy, self.settings
        return self.endpoint, self._etl, self._clusters, *how

    def request_for(self, url: str) -> ObjectRequest:
        """Return the request for the object at `url`.

        Raises:
            InvalidURLError: It is not the URL of an object, or is on a cluster that was not given.
        """
        endpoint = self.endpoint
        for cluster in self._clusters:
            if url.startswith(cluster):
                endpoint = cluster.removesuffix("/v1/")
        return ObjectRequest.parse(
            url, endpoint, self.settings, self._etl, is_verified=self.options.verify is not None
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
        handler = ErrorHandler(self.policy, self.counters.of_this_process())
        with closing(self._outcomes(items, url_of)) as outcomes:
            for outcome in outcomes:
                file = outcome.file or outcome.file_by(handler, url_of(outcome.item))
                yield outcome.item, file

    def read_all(
        self,
        items: Iterable[T],
        url_of: Callable[[T], str],
        expected_bytes: float | None = None,
    ) -> Generator[tuple[T, bytes | None], None, None]:
        """Yield every item with its content, ahead of the consumer; None for a skipped one.

        Args:
            items: What to read; in this order if ``options.ordered``.
            url_of: Returns the URL of an item.
            expected_bytes: What each may have, if that is known: the first requests are as big
                as the later ones then.

        Raises:
            AISPipeError: An object cannot be read and is not to be skipped.
        """
        handler = ErrorHandler(self.policy, self.counters.of_this_process())
        yield from self._contents(items, url_of, handler, expected_bytes)

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
        contents = self._contents(items, url_of, self.handler_here(), expected_bytes)
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

        return prefetch(
            items, request_for, self.options, self.counters.of_this_process(), expected_bytes
        )

    def handler_here(self) -> ErrorHandler:
        """Return what decides on errors in this process, and counts them since it was made."""
        if self._handler is None or self._handler[0] != os.getpid():
            self._handler = os.getpid(), ErrorHandler(self.policy, self.counters.of_this_process())
        return self._handler[1]

    def __getstate__(self) -> dict:
        return {**vars(self), "_handler": None}


def _read(file: IO[bytes]) -> bytes:
    with file:
        return file.read()
