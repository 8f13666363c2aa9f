"""pyarrow: parquet files and data sets, read by threads of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ecosystem.measured import Measured

if TYPE_CHECKING:
    from aistore.sdk import Bucket

    from conftest import PutObject
    from ecosystem.conftest import AsUser
    from support.faults import FaultProxy

COLUMNS = [f"c{number:02d}" for number in range(20)]


def wide(rows: int) -> pa.Table:
    """Return a table of 20 columns of numbers that no compression makes smaller."""
    numbers = np.random.default_rng(1)
    return pa.table({name: numbers.random(rows) for name in COLUMNS})


def partitions(bucket: str) -> None:
    """Write a data set by partitions, and read some of them, by a filter."""
    fs, path = fsspec.url_to_fs(f"{bucket}/days")
    table = pa.table({"day": [n % 5 for n in range(1000)], "number": range(1000)})
    ds.write_dataset(table, path, filesystem=fs, format="parquet", partitioning=["day"])
    assert [one.rpartition("/")[2] for one in fs.ls(path, detail=False)] == list("01234")
    data = ds.dataset(path, filesystem=fs, format="parquet", partitioning=["day"])
    some = data.to_table(filter=(ds.field("day") == 3) & (ds.field("number") < 500))
    assert sorted(some["number"].to_pylist()) == list(range(3, 500, 5))
    with_url = pq.read_table(
        path, filesystem=fs, partitioning=["day"], filters=[("day", "in", [1])]
    )
    assert with_url.num_rows == 200


def two_columns(url: str) -> int:
    """Read two columns of a table; return its rows."""
    fs, path = fsspec.url_to_fs(url)
    return pq.read_table(path, filesystem=fs, columns=COLUMNS[3:5]).num_rows


def head(url: str) -> int:
    """Begin to read a data set, and end."""
    fs, path = fsspec.url_to_fs(url)
    return ds.dataset(path, filesystem=fs, format="parquet").head(5).num_rows


def first_batch(url: str) -> int:
    """Take one batch of a data set, and end while the iterator is there, as it is global."""
    global batches
    fs, path = fsspec.url_to_fs(url)
    batches = ds.dataset(path, filesystem=fs, format="parquet").to_batches(batch_size=50)
    return next(iter(batches)).num_rows


def failing_writers(bucket: str) -> dict[str, bool]:
    """Fail inside of a writer's block; return where the old object stayed."""
    fs, path = fsspec.url_to_fs(f"{bucket}/table.parquet")
    table = wide(10)
    pq.write_table(table, path, filesystem=fs)
    old = fs.cat(path)

    def fail(writer: pq.ParquetWriter) -> None:
        with writer:
            writer.write_table(table)
            _ = 1 / 0

    def by_url() -> None:
        fail(pq.ParquetWriter(path, table.schema, filesystem=fs))

    def by_file() -> None:
        with fs.open(path, "wb") as file:
            fail(pq.ParquetWriter(file, table.schema))

    def by_transaction() -> None:
        with fs.transaction:
            fail(pq.ParquetWriter(path, table.schema, filesystem=fs))

    stayed = {}
    for way in (by_url, by_file, by_transaction):
        with pytest.raises(ZeroDivisionError):
            way()
        stayed[way.__name__] = fs.cat(path) == old
    return stayed


def test_partitions(as_user: AsUser, bucket: str) -> None:
    """A data set is written by partitions, and filters choose among them."""
    as_user(partitions, bucket)


def test_projection(
    as_user: AsUser, ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """To read 2 of 20 columns takes no more than 12 % of the file."""
    content = io.BytesIO()
    pq.write_table(wide(200_000), content, row_group_size=50_000, use_dictionary=False)
    put_object(ais_bucket, "wide.parquet", content.getvalue())
    with faults.rule(Measured(matches="GET /v1/objects")) as measured:
        rows = as_user(
            two_columns, f"ais://{ais_bucket.name}/wide.parquet", endpoint=faults.endpoint
        )
    assert rows == 200_000
    assert 0.1 < sum(measured.sizes) / len(content.getvalue()) <= 0.12


@pytest.mark.parametrize("work", [head, first_batch])
def test_exit(as_user: AsUser, ais_bucket: Bucket, put_object: PutObject, work: Callable) -> None:
    """A process that wanted the beginning only ends in good order, while pyarrow reads on."""
    content = io.BytesIO()
    pq.write_table(wide(10_000), content, row_group_size=2_000)
    for number in range(12):
        put_object(ais_bucket, f"many/{number}.parquet", content.getvalue())
    as_user(work, f"ais://{ais_bucket.name}/many")


def test_failing_writers(as_user: AsUser, bucket: str) -> None:
    """A writer whose block fails leaves the old object."""
    assert as_user(failing_writers, bucket) == dict.fromkeys(
        ["by_url", "by_file", "by_transaction"], True
    )
