"""Sample reader: samples of shards in any order, by few requests.

Each sample is a range of its shard, as its members are neighbours. The ranges of a request are in
the order of the shards, and those that touch are one. What comes is parsed off the connection,
and compared with the index: where key or extensions are others, the shard was replaced.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aisdatapipes.errors import (
    AISPipeError,
    BadArchiveError,
    CutArchiveError,
    ObjectChangedError,
    ShardIndexError,
    TooManyErrorsError,
)
from aisdatapipes.indexes.pieces import Piece, SampleSource, pieces_of
from aisdatapipes.indexes.versions import versions_of
from aisdatapipes.metrics.counters import counting
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.portions import portions
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.scattered import Part, stream_parts
from aisdatapipes.tar import TarReader, key_of, sample_files

__all__ = ["FoundSample", "SampleReader"]


class FoundSample(NamedTuple):
    """A sample that was read.

    Attributes:
        key: Directory, and name up to its first dot.
        url: Its shard.
        files: Content by extension.
    """

    key: str
    url: str
    files: dict[str, bytes]


class SampleReader:
    """Reads samples, and counts over all processes that have a copy of it.

    It is plain data and pickles; connections are made where it reads.

    Args:
        index: Where the samples are.
        reader: Says how shards are requested, how much at a time, and what happens to errors.
    """

    def __init__(self, index: SampleSource, reader: ObjectReader) -> None:
        self._index = index
        self._reader = reader
        self._requests: dict[int, ObjectRequest] = {}

    def __getstate__(self) -> dict:
        return {**vars(self), "_requests": {}}

    def read_one(self, sample: int) -> FoundSample:
        """Return a sample, with what ``on_error`` has in its place if that is a function.

        Raises:
            AISPipeError: It cannot be read, whatever else ``on_error`` says.
        """
        found = self.results([sample])[0]
        if not isinstance(found, AISPipeError):
            return found
        content = self._reader.policy.replacement(self._url_of(sample), found)
        if content is None:
            raise found
        return self.replacement(sample, content)

    def read_many(self, samples: Sequence[int]) -> list[FoundSample]:
        """Return several samples in their order, without those that are skipped.

        Args:
            samples: Which; one may come several times.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: There is none that could be read, or this process has skipped
                more than ``max_errors`` since the reader was made.
        """
        handler = self._reader.handler_here()
        found: list[FoundSample] = []
        for sample, result in zip(samples, self.results(samples), strict=True):
            if not isinstance(result, AISPipeError):
                found.append(result)
            else:
                content = handler.content_for(self._url_of(sample), result)
                if content is not None:
                    found.append(self.replacement(sample, content))
        if samples and not found:
            raise TooManyErrorsError(
                f"all {len(samples)} samples of a batch were skipped, the first of them in "
                f"{self._url_of(samples[0])!r}: see skipped_urls(), or let on_error raise to see "
                "why"
            )
        return found

    def results(self, samples: Sequence[int]) -> list[FoundSample | AISPipeError]:
        """Return every sample, or the error that there is in place of it."""
        results: list[Any] = [b""] * len(samples)  # of a sample in several places, what has come
        counters = self._reader.counters.of_this_process()
        add = self._add_part if self._index.has_parts else self._sample
        last = time.perf_counter()
        with counting(counters):
            for piece, content in self._contents(pieces_of(self._index, samples)):
                waited_s, count = time.perf_counter() - last, len(piece.ranges)
                for begin, end, place in piece.ranges:
                    at, sample, before = begin - piece.begin, samples[place], results[place]
                    results[place] = (
                        content
                        if isinstance(content, AISPipeError)
                        else add(sample, content, at, at + end - begin, before)
                    )
                counters.add_object(piece.end - piece.begin, waited_s, 0.0, count)
                last = time.perf_counter()
        return results

    def _contents(self, pieces: list[Piece]) -> Iterator[tuple[Piece, bytes | AISPipeError]]:
        """Yield every piece with its bytes, or the error that there is in place of them."""
        options = self._reader.options
        most = options.max_inflight_bytes, options.max_batch
        for chunk in portions(pieces, lambda piece: piece.end - piece.begin, *most):
            parts = [Part(self._request(one.shard), one.begin, one.end) for one in chunk]
            contents = stream_parts(parts, options.concurrency, options.colocation)
            yield from zip(chunk, contents, strict=True)

    def _add_part(
        self, sample: int, content: bytes, begin: int, end: int, before: Any
    ) -> FoundSample | AISPipeError | bytes:
        """Return a sample, an error, or its bytes until now if others will come.

        Args:
            sample: Which.
            content: What came, of this place or of more.
            begin: Where in the content this place begins.
            end: Where it ends.
            before: What came of the places before this one: bytes, or an error.
        """
        if isinstance(before, AISPipeError):
            return before
        ranges = (self._index.range_of(sample), *self._index.parts_of(sample))
        content = before + content[begin:end]
        size = sum(end - begin for begin, end in ranges)
        return content if len(content) < size else self._sample(sample, content, 0, size)

    def _sample(
        self, sample: int, content: bytes, begin: int, end: int, _: object = None
    ) -> FoundSample | AISPipeError:
        """Return a sample, or an error if something else is in its place."""
        index = self._index
        key, url = index.key(sample), self._url_of(sample)
        try:
            files = sample_files(content, begin, end, key, url)
        except (BadArchiveError, CutArchiveError) as error:
            return self._other_shard(sample) or error
        expected = index.extensions_of(sample)
        if tuple(files) == expected:
            return FoundSample(key, url, files)
        return self._other_shard(sample) or ShardIndexError(
            f"sample {key!r} in {url} has {', '.join(files) or 'no file'} where the index has "
            f"{', '.join(expected)}: build the index again"
        )

    def _other_shard(self, sample: int) -> AISPipeError | None:
        """Return an error if the shard of a sample is another one than was indexed."""
        number = self._index.shard_of(sample)
        request = self._request(number)
        try:
            (version,) = versions_of([request])
        except AISPipeError as error:
            return error
        before = self._index.version_of(number)
        if before and version == before:
            return None
        return ObjectChangedError(
            f"{request.label} was replaced since it was indexed: build the index again"
        )

    def replacement(self, sample: int, content: bytes) -> FoundSample:
        """Return a sample in a tar that ``on_error`` gave in place of its shard.

        Raises:
            BadArchiveError: It is not there.
        """
        key, url = self._index.key(sample), self._url_of(sample)
        label, files = f"what on_error gave for {url}", {}
        for name, member, _ in TarReader(io.BytesIO(content), label).files():
            if key_of(name) == key:
                files[name[len(key) + 1 :].lower()] = member
        if not files:
            raise BadArchiveError(f"{label} has no sample {key!r}: give a tar that has it, or None")
        return FoundSample(key, url, files)

    def _url_of(self, sample: int) -> str:
        return self._index.url_of(self._index.shard_of(sample))

    def _request(self, shard: int) -> ObjectRequest:
        request = self._requests.get(shard)
        if request is None:
            request = self._reader.request_for(self._index.url_of(shard))
            self._requests[shard] = request
        return request
