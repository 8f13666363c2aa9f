"""Tables: what a read task makes of its objects, or of its shards.

They are plain data: the driver makes them, and Ray sends them to its workers. They are no
dataclasses, as Ray writes all fields of such into its logs, and in them is a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Protocol

import pyarrow as pa

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorHandler
from aisdatapipes.reading.portions import portions
from aisdatapipes.reading.prefetcher import prefetch
from aisdatapipes.shards.read_shard import (
    SHARD_OPTIONS,
    read_shard,
    sample_dict,
    samples_parser,
)
from aisdatapipes.urls import is_utf8

__all__ = ["ObjectTables", "SampleTables", "Tables"]

_TABLE_BYTES = 8 * 2**20
_MOST_IN_BINARY = 2**31 - 1
_TEXTS = ("__key__", "__url__")

Row = dict[str, Any]


class Tables(Protocol):
    """What a `Datasource` reads.

    Attributes:
        name: What Ray calls the reading.
        schema: Of all tables; None if only reading tells.
    """

    name: str
    schema: pa.Schema | None

    def rows_in(self, urls: Sequence[str]) -> int | None:
        """Return how many rows come of some URLs; None if only reading tells."""
        ...

    def bytes_in(self, urls: Iterable[str], sizes: Iterable[int]) -> int:
        """Return what is in memory when all of them are read, in bytes."""
        ...

    def read(self, urls: Sequence[str], expected_bytes: float) -> Iterator[pa.Table]:
        """Yield tables of some megabytes each, always the same ones in the same order.

        Args:
            urls: What to read.
            expected_bytes: What each may have.

        Raises:
            AISPipeError: One cannot be read and is not to be skipped.
        """
        ...


class ObjectTables:
    """A row for each object: its ``url`` and its ``bytes``.

    Args:
        reader: Reads them.
        most_bytes: Of the biggest one; None if unknown.
    """

    name = "AIS"

    def __init__(self, reader: ObjectReader, most_bytes: int | None) -> None:
        self._reader = reader
        self.schema = pa.schema({"url": pa.string(), "bytes": _binary_for(most_bytes)})

    def rows_in(self, urls: Sequence[str]) -> int | None:
        """Return how many there are, unless one may be skipped."""
        return len(urls) if self._reader.policy.on_error == "raise" else None

    def bytes_in(self, urls: Iterable[str], sizes: Iterable[int]) -> int:
        """Return the bytes of the two columns, with where each value begins in them."""
        wide = pa.types.is_large_binary(self.schema.field("bytes").type)
        places = 4 + (8 if wide else 4)
        pairs = zip(urls, sizes, strict=True)
        return sum(len(url.encode()) + size + places for url, size in pairs)

    def read(self, urls: Sequence[str], expected_bytes: float) -> Iterator[pa.Table]:
        """Yield tables; see `Tables`."""
        is_empty = True
        for rows in portions(self._rows(urls, expected_bytes), _size, _TABLE_BYTES):
            is_empty = False
            yield pa.Table.from_pylist(rows, schema=self.schema)
        if is_empty:
            yield self.schema.empty_table()

    def _rows(self, urls: Sequence[str], expected_bytes: float) -> Iterator[Row]:
        with closing(self._reader.read_all(urls, str, expected_bytes)) as contents:
            for url, content in contents:
                if content is not None:
                    yield {"url": url, "bytes": content}


class SampleTables:
    """A row for each sample of tar shards: ``__key__``, ``__url__``, and its files by extension.

    Args:
        reader: How shards are requested, and what happens if one fails.
        most_bytes: Of the biggest shard; None if unknown.
    """

    name = "AISSamples"
    schema = None

    def __init__(self, reader: ObjectReader, most_bytes: int | None) -> None:
        self._reader = reader
        self._binary = _binary_for(most_bytes)

    def rows_in(self, urls: Sequence[str]) -> int | None:  # noqa: ARG002
        """Return None: a shard does not say how many samples it has."""
        return None

    def bytes_in(self, urls: Iterable[str], sizes: Iterable[int]) -> int:  # noqa: ARG002
        """Return the bytes of the shards, which have headers beside their files."""
        return sum(sizes)

    def read(self, urls: Sequence[str], expected_bytes: float) -> Iterator[pa.Table]:  # noqa: ARG002
        """Yield tables with the columns of their samples; what a sample lacks is null in it."""
        for rows in portions(self._rows(urls), _size, _TABLE_BYTES):
            yield pa.Table.from_pylist(rows, schema=self._schema_of(rows))

    def _schema_of(self, rows: Iterable[Row]) -> pa.Schema:
        names = dict.fromkeys(chain.from_iterable(rows))
        return pa.schema({name: pa.string() if name in _TEXTS else self._binary for name in names})

    def _rows(self, urls: Iterable[str]) -> Iterator[Row]:
        reader, counters = self._reader, self._reader.counters.of_this_process()
        content_for = ErrorHandler(reader.policy, counters).content_for
        parse = samples_parser(reader.settings, counters)
        with closing(prefetch(urls, reader.request_for, SHARD_OPTIONS, counters)) as shards:
            for shard in shards:
                for sample in read_shard(shard.item, shard, parse, content_for):
                    yield _checked(sample_dict(shard.item, sample))


def _binary_for(most_bytes: int | None) -> pa.DataType:
    """Return the type of a column with values of up to so many bytes."""
    is_big = most_bytes is None or most_bytes > _MOST_IN_BINARY
    return pa.large_binary() if is_big else pa.binary()


def _size(row: Row) -> int:
    return sum(map(len, row.values()))


def _checked(row: Row) -> Row:
    """Return the row of a sample, if a table can have it.

    Raises:
        BadArchiveError: A name in it is no text.
    """
    if all(map(is_utf8, (row["__key__"], *row))):
        return row
    raise BadArchiveError(
        f"sample {row['__key__']!r} in {row['__url__']} has a name that is not UTF-8, as a table "
        "needs: rename its members, or read the shard by AISSampleLoader"
    )
