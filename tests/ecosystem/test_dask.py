"""Dask: tables and bytes, by threads and by processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

import dask
import dask.bag
import dask.dataframe as dd
import pandas as pd
import pytest
from dask.bytes import read_bytes

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


@contextmanager
def workers(scheduler: str) -> Iterator[None]:
    """Compute by two threads or processes inside the block, the same ones for all that is in it."""
    pool: Executor = ThreadPoolExecutor(2)
    if scheduler == "processes":
        pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with pool, dask.config.set(scheduler=scheduler, pool=pool):
        yield


def tables(bucket: str, scheduler: str) -> None:
    """Write a table in parts, as parquet and CSV, and read it."""
    frame = pd.DataFrame({"n": range(1000), "k": [n % 3 for n in range(1000)]})
    with workers(scheduler):
        parts = dd.from_pandas(frame, npartitions=4)
        for _ in range(2):  # the second time over what is there
            parts.to_parquet(f"{bucket}/parquet", overwrite=True)
        read = dd.read_parquet(f"{bucket}/parquet", columns=["n"], filters=[("k", "==", 1)])
        assert sorted(read.compute()["n"]) == list(range(1, 1000, 3))
        parts.to_csv(f"{bucket}/csv/*.csv", index=False)
        assert dd.read_csv(f"{bucket}/csv/*.csv")["n"].sum().compute() == sum(range(1000))


def texts(bucket: str, scheduler: str) -> None:
    """Write lines, compressed too, and read them, and blocks of bytes."""
    lines = [f"line {number}" for number in range(500)]
    with workers(scheduler):
        bag = dask.bag.from_sequence(lines, npartitions=3)
        for suffix in ("txt", "txt.gz"):
            bag.to_textfiles(f"{bucket}/lines/*.{suffix}")
            read = dask.bag.read_text(f"{bucket}/lines/*.{suffix}").compute()
            assert [line.strip() for line in read] == lines
        _, blocks = read_bytes(f"{bucket}/lines/*.txt", blocksize=700, delimiter=b"\n")
        assert sum(map(len, blocks)) > len(blocks)
        found = b"\n".join(dask.compute(*[block for file in blocks for block in file]))
        assert found.decode().split() == " ".join(lines).split()


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.parametrize("work", [tables, texts])
def test_dask(as_user: AsUser, bucket: str, work, scheduler: str) -> None:
    """What is written in parts is read as a whole, by threads and by processes."""
    as_user(work, bucket, scheduler)
