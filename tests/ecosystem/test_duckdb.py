"""DuckDB: SQL over files that its threads share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import fsspec
import pytest

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


def connection(threads: int) -> duckdb.DuckDBPyConnection:
    """Return one that knows ``ais://``."""
    connected = duckdb.connect(config={"threads": threads})
    connected.register_filesystem(fsspec.filesystem("ais"))
    return connected


def queries(bucket: str, threads: int) -> None:
    """Write by SQL, and read by a pattern, with projection, filter and join."""
    sql = connection(threads).sql
    for number in range(3):
        sql(
            f"copy (select range as n, range % 7 as k, 'row ' || range as text "
            f"from range({number * 50000}, {number * 50000 + 50000})) "
            f"to '{bucket}/{number}.parquet' (row_group_size 5000)"
        )
    many = f"'{bucket}/*.parquet'"
    assert sql(f"select count(*), sum(n) from {many}").fetchall() == [(150_000, 11_249_925_000)]
    assert sql(f"select text from {many} where n = 77777").fetchall() == [("row 77777",)]
    by_key = sql(f"select k, count(*) from {many} group by k order by k").fetchall()
    assert sum(count for _, count in by_key) == 150_000
    joined = f"select count(*) from {many} a join '{bucket}/1.parquet' b on a.n = b.n"
    assert sql(joined).fetchall() == [(50_000,)]
    sql(f"copy (select * from {many} where k = 1) to '{bucket}/by.csv' (header)")
    assert sql(f"select count(*) from '{bucket}/by.csv'").fetchall() == [(by_key[1][1],)]


def missing(bucket: str) -> None:
    """Read what is not there; an old file stays when a query fails."""
    sql = connection(2).sql
    with pytest.raises(Exception, match=r"none\.parquet"):
        sql(f"select * from '{bucket}/none.parquet'")
    sql(f"copy (select 1 as a) to '{bucket}/old.parquet'")
    with pytest.raises(duckdb.Error):
        sql(f"copy (select error('no') as a from range(10)) to '{bucket}/old.parquet'")
    assert sql(f"select * from '{bucket}/old.parquet'").fetchall() == [(1,)]


@pytest.mark.parametrize("threads", [1, 4])
def test_queries(as_user: AsUser, bucket: str, threads: int) -> None:
    """Tables are written and queried, with several threads in one file too."""
    as_user(queries, bucket, threads)


def test_missing(as_user: AsUser, bucket: str) -> None:
    """A missing file is named, and a query that fails leaves the old table."""
    as_user(missing, bucket)
