"""Entry reading: samples by references that come in any order, some batches ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future

from aisdatapipes.errors import AISPipeError
from aisdatapipes.indexes.entry_batch import EntryBatch
from aisdatapipes.indexes.sample_entry import SampleEntry
from aisdatapipes.indexes.sample_reader import FoundSample, SampleReader
from aisdatapipes.processes.background import in_thread
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.portions import portions

__all__ = ["read_entries"]

_MOST_SAMPLES = 256
_BATCHES = 2


def read_entries(
    entries: Iterable[SampleEntry], reader: ObjectReader
) -> Generator[FoundSample, None, None]:
    """Yield the samples of references, in order, without those that are skipped.

    A batch of them is one request; the next one is read while this one is consumed.

    Args:
        entries: Where the samples are; taken as far ahead as the reading goes.
        reader: Says how shards are requested, how much at a time, and what happens to errors.

    Raises:
        AISPipeError: One cannot be read and is not to be skipped.
    """
    handler = ErrorHandler(reader.policy, reader.counters.of_this_process())
    ahead: deque[tuple[SampleReader, list[SampleEntry], Future]] = deque()
    try:
        most_bytes = reader.options.max_inflight_bytes // _BATCHES
        for batch in portions(entries, _length, most_bytes, _MOST_SAMPLES):
            samples = SampleReader(EntryBatch(batch), reader)
            ahead.append((samples, batch, in_thread(samples.results, range(len(batch)))))
            if len(ahead) == _BATCHES:
                yield from _taken(*ahead.popleft(), handler)
        while ahead:
            yield from _taken(*ahead.popleft(), handler)
    finally:
        for _, _, reading in ahead:
            reading.cancel()


def _taken(
    samples: SampleReader, batch: list[SampleEntry], reading: Future, handler: ErrorHandler
) -> Iterator[FoundSample]:
    for number, found in enumerate(reading.result()):
        if not isinstance(found, AISPipeError):
            yield found
            continue
        content = handler.content_for(batch[number].url, found)
        if content is not None:
            yield samples.replacement(number, content)


def _length(entry: SampleEntry) -> int:
    return sum(end - begin for begin, end in entry.ranges)
