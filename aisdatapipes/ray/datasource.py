"""The datasource: read tasks for Ray, which carry the URLs of the objects they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.context import DataContext
from typing_extensions import override

from aisdatapipes.ray.cutting import cut
from aisdatapipes.ray.tables import Tables

__all__ = ["AISDatasource"]


class AISDatasource(Datasource):
    """Objects that Ray reads, in tasks of about equally many bytes.

    Args:
        urls: Of the objects.
        sizes: Their bytes; 0 where unknown.
        tables: Reads them.
    """

    def __init__(self, urls: Sequence[str], sizes: Sequence[int], tables: Tables) -> None:
        super().__init__()
        self._urls = urls
        self._sizes = sizes
        self._tables = tables

    @override
    def get_name(self) -> str:
        return self._tables.name

    @override
    def estimate_inmemory_data_size(self) -> int:
        return self._tables.bytes_in(self._urls, self._sizes)

    @override
    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        # Of nothing too there is a task: Ray learns the columns from it.
        parts = cut(self._sizes, parallelism) or [range(0)]
        return [self._task(slice(part.start, part.stop), per_task_row_limit) for part in parts]

    def _task(self, part: slice, most_rows: int | None) -> ReadTask:
        urls, sizes, tables = self._urls[part], self._sizes[part], self._tables
        metadata = BlockMetadata(
            num_rows=tables.rows_in(urls),
            size_bytes=tables.bytes_in(urls, sizes),
            input_files=tuple(urls),
            exec_stats=None,
        )
        reading = _reading(tables, urls, sum(sizes) / max(len(sizes), 1))
        return ReadTask(reading, metadata, tables.schema, per_task_row_limit=most_rows)


def _reading(
    tables: Tables, urls: Sequence[str], expected_bytes: float
) -> Callable[[], Iterator[pa.Table]]:
    """Return what a task runs: a function with a name, which Ray wants to know of a big one."""

    def read() -> Iterator[pa.Table]:
        return tables.read(urls, expected_bytes)

    return read
