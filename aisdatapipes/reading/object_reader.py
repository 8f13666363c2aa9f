"""The reader that pipes and datasets have: a cluster, how to read it, and what was counted."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import IO, Literal

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError, TooManyErrorsError
from aisdatapipes.etl import ETLCall
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import NEVER_SKIPPED, ErrorPolicy, OnError, ReadOptions, Skips
from aisdatapipes.reading.prefetcher import read_objects
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["ObjectReader"]


class ObjectReader:
    """Reads objects of a cluster, and counts over all processes that have a copy of it.

    It is plain data and pickles; connections are made where it reads.

    Args:
        endpoint: Address of the cluster.
        etl: What ETLs make of every object; None for the objects as they are.
        clusters: Endpoints, beside this one, that full URLs may lead to.
        max_inflight_bytes: Upper bound of the bytes that are asked for and not consumed yet, as
            far as the sizes that came by tell.
        max_batch: Most objects in one GetBatch request; 1 reads every object by its own GET.
        concurrency: Most GETs at a time, where GetBatch does not apply.
        ordered: Yield in the order of the URLs; otherwise as objects arrive.
        on_error: See `OnError`.
        max_errors: Most objects to skip; None for any number.
        verify: ``"checksum"`` compares every object with the cluster's checksum.
        settings: Time-outs, retries and the memory for each stream.

    Attributes:
        report: The counters and the skipped URLs.
        options: How far it reads ahead, and what it does with errors.

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
        policy = ErrorPolicy(on_error, max_errors)
        self.options = ReadOptions(
            max_inflight_bytes, max_batch, concurrency, ordered, whole, policy
        )
        self.report = SharedCounters()
        self._endpoint = endpoint
        self._etl = etl
        self._clusters = [f"{cluster}/v1/" for cluster in clusters]
        self._is_verified = verify is not None
        self._settings = replace(settings, whole_object_bytes=whole)
        self._skips: tuple[int, Skips] | None = None

    def request_for(self, url: str) -> ObjectRequest:
        """Return what it takes to ask for the object at `url`.

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

    def stream(self, urls: Iterable[str]) -> Generator[tuple[str, IO[bytes]], None, None]:
        """Yield URL and open file of every object, ahead of the consumer; see `read_objects`.

        Raises:
            AISPipeError: An object cannot be read and is not to be skipped.
        """
        return read_objects(urls, self.request_for, self.options, self.report.tally())

    def contents(self, urls: Iterable[str]) -> Generator[tuple[str, bytes], None, None]:
        """Yield URL and content of every object that is not skipped, ahead of the consumer.

        Raises:
            AISPipeError: An object cannot be read and is not to be skipped.
        """
        tally = self.report.tally()
        skips = Skips(self.options.policy, tally)
        objects = read_objects(urls, self.request_for, self.options, tally, skips)
        yield from _contents(objects, skips)

    def read_one(self, url: str) -> bytes:
        """Return the content of an object, or what ``on_error``, if it is a function, has for it.

        Raises:
            AISPipeError: It cannot be read, whatever else ``on_error`` says.
        """
        options = replace(self.options, policy=ErrorPolicy())
        objects = read_objects([url], self.request_for, options, self.report.tally())
        try:
            with closing(objects):
                return _content(next(objects)[1])
        except NEVER_SKIPPED:
            raise
        except AISPipeError as error:
            on_error = self.options.policy.on_error
            content = on_error(url, error) if callable(on_error) else None
            if content is None:
                raise
            return content

    def read_many(self, urls: Sequence[str], expected_bytes: float = 0) -> list[tuple[str, bytes]]:
        """Return URL and content of several objects, in order, without those that are skipped.

        They are asked for together, as far as budget and ``max_batch`` allow.

        Args:
            urls: Which; one may come several times.
            expected_bytes: What each may weigh; 0 if unknown.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: There is none that could be read, or this process has skipped
                more than ``max_errors`` since the reader was made.
        """
        skips = self._skips_here()
        objects = read_objects(
            urls, self.request_for, self.options, self.report.tally(), skips, expected_bytes
        )
        found = list(_contents(objects, skips))
        if urls and not found:
            raise TooManyErrorsError(
                f"all {len(urls)} objects of a batch were skipped, {urls[0]!r} the first of them: "
                "see skipped_urls(), or let on_error raise to see why"
            )
        return found

    def _skips_here(self) -> Skips:
        if self._skips is None or self._skips[0] != os.getpid():
            self._skips = os.getpid(), Skips(self.options.policy, self.report.tally())
        return self._skips[1]

    def __getstate__(self) -> dict:
        return {**vars(self), "_skips": None}


def _contents(
    objects: Generator[tuple[str, IO[bytes]], None, None], skips: Skips
) -> Iterator[tuple[str, bytes]]:
    """Read the files; a big one may break in the middle."""
    with closing(objects):
        for url, file in objects:
            try:
                content = _content(file)
            except AISPipeError as error:
                content = skips.content_for(url, error)
            if content is not None:
                yield url, content


def _content(file: IO[bytes]) -> bytes:
    with file:
        return file.read()
