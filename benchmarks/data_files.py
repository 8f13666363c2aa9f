"""Data of the works that read and write files, stored with what S3 clients want: an ETag."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

from benchmarks.job import Job
from benchmarks.scale import Scale
from benchmarks.storing import Content, Store

__all__ = ["FILE_KINDS", "small_contents", "store_files"]

FILE_KINDS = ("files", "big file", "table", "written file")

_MIB = 2**20
_RANGES = 1_000
_RANGE_BYTES = 32 * 2**10
_COLUMNS = 20
_ROW_GROUPS = 10


def store_files(kind: str, cluster: Store, endpoint: str, scale: Scale) -> dict[str, Job]:
    """Fill a cluster with data.

    Args:
        kind: One of `FILE_KINDS`; of a file that is written there is the bucket only.
        cluster: The cluster.
        endpoint: Its address.
        scale: How much of it.

    Returns:
        The job to read it, for each kind of data that was made; ``a third of the files`` comes
        with the files, and ``ranges`` with the big file.
    """
    if kind == "files":
        return _store_small(cluster, endpoint, scale)
    if kind == "big file":
        return _store_big(cluster, endpoint, scale)
    if kind == "table":
        return {kind: _store_table(cluster, endpoint, scale)}
    cluster.create_bucket("written")
    count = scale.written_mib
    return {kind: Job(endpoint, "written", count, count * _MIB, ["file.bin"])}


def small_contents(count: int, folder: str = "train") -> Iterator[Content]:
    """Yield so many names with contents of 10 to 60 KB, the same ones every time."""
    generator = random.Random(1)  # noqa: S311 - data, no secret
    pool = generator.randbytes(_MIB)
    for number in range(count):
        size = generator.randint(10_000, 60_000)
        start = generator.randrange(len(pool) - size)
        yield f"{folder}/{number:05}.jpg", pool[start : start + size]


def _store_small(cluster: Store, endpoint: str, scale: Scale) -> dict[str, Job]:
    cluster.create_bucket("files", "md5")
    third = scale.files // 3
    contents = list(small_contents(scale.files, "many"))
    few = list(small_contents(third, "few"))
    cluster.put_all("files", [*contents, *few])
    return {
        "files": _job_of(endpoint, "files", contents, "many/"),
        "a third of the files": _job_of(endpoint, "files", few, "few/"),
    }


def _job_of(endpoint: str, bucket: str, contents: list[Content], prefix: str) -> Job:
    size = sum(len(content) for _, content in contents)
    names = [name for name, _ in contents]
    return Job(endpoint, bucket, len(contents), size, names, prefix)


def _store_big(cluster: Store, endpoint: str, scale: Scale) -> dict[str, Job]:
    cluster.create_bucket("big-file", "md5")
    piece = random.Random(2).randbytes(_MIB)  # noqa: S311 - data, no secret
    size = scale.big_mib * _MIB
    cluster.put_stream("big-file", "file.bin", size, (piece for _ in range(scale.big_mib)))
    names = ["file.bin"]
    read = _RANGES * _RANGE_BYTES
    return {
        "big file": Job(endpoint, "big-file", scale.big_mib, size, names),
        "ranges": Job(endpoint, "big-file", _RANGES, read, names, options={"of_bytes": size}),
    }


def _store_table(cluster: Store, endpoint: str, scale: Scale) -> Job:
    # Here, as all else is read and written without pyarrow.
    import pyarrow as pa  # pyright: ignore[reportMissingImports] - of the bench extra
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

    generator = random.Random(3)  # noqa: S311 - data, no secret
    buffers = (pa.py_buffer(generator.randbytes(8 * scale.rows)) for _ in range(_COLUMNS))
    arrays = [pa.Array.from_buffers(pa.int64(), scale.rows, [None, one]) for one in buffers]
    names = [f"column{number}" for number in range(_COLUMNS)]
    made = io.BytesIO()
    pq.write_table(pa.table(arrays, names), made, row_group_size=scale.rows // _ROW_GROUPS)
    cluster.create_bucket("table", "md5")
    cluster.put_stream("table", "table.parquet", made.tell(), [made.getvalue()])
    return Job(endpoint, "table", scale.rows, scale.rows, ["table.parquet"])
