"""Hugging Face: data sets that are loaded, streamed and saved by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
from datasets import Dataset, load_dataset, load_from_disk

from support.tars import member, pack

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser

COUNT = 300


def parquet(bucket: str, cache: str) -> None:
    """Load and stream a data set of three files."""
    for number in range(3):
        numbers = range(number * 100, number * 100 + 100)
        Dataset.from_dict({"n": list(numbers)}).to_parquet(f"{bucket}/{number}.parquet")
    loaded = load_dataset(
        "parquet", data_files=f"{bucket}/*.parquet", split="train", cache_dir=cache
    )
    assert loaded["n"][:] == list(range(COUNT))
    files = [f"{bucket}/{number}.parquet" for number in range(3)]
    streamed = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert [row["n"] for row in streamed] == list(range(COUNT))
    first = next(iter(streamed.shuffle(seed=1, buffer_size=10)))
    assert set(first) == {"n"}


def webdataset(bucket: str, cache: str) -> None:
    """Load and stream tar shards."""
    fs = fsspec.filesystem("ais")
    for number in range(3):
        keys = [f"{number}{row}" for row in range(7)]
        members = [member(f"{key}.{kind}", key.encode()) for key in keys for kind in ("cls", "txt")]
        fs.pipe(f"{bucket}/{number}.tar", pack(members))
    for options in ({"streaming": True}, {"cache_dir": cache}):
        rows = load_dataset("webdataset", data_files=f"{bucket}/*.tar", split="train", **options)
        assert [(row["cls"], row["txt"]) for row in rows] == [
            (int(key), key) for key in (f"{number}{row}" for number in range(3) for row in range(7))
        ]


def saved(bucket: str, count: int) -> None:
    """Save a data set to a folder, and load it."""
    Dataset.from_dict({"n": list(range(count))}).save_to_disk(f"{bucket}/saved", num_shards=2)
    assert load_from_disk(f"{bucket}/saved")["n"][:] == list(range(count))


def first_row(bucket: str) -> int:
    """Stream the first row only, and end."""
    rows = load_dataset("parquet", data_files=f"{bucket}/*.parquet", split="train", streaming=True)
    return next(iter(rows))["n"]


def test_parquet(as_user: AsUser, bucket: str, tmp_path) -> None:
    """Parquet files are loaded and streamed, by a pattern and by a list."""
    as_user(parquet, bucket, str(tmp_path))
    assert as_user(first_row, bucket) == 0


def test_webdataset(as_user: AsUser, bucket: str, tmp_path) -> None:
    """Tar shards are streamed and loaded."""
    as_user(webdataset, bucket, str(tmp_path))


def test_saved(as_user: AsUser, bucket: str) -> None:
    """A data set is loaded as it was saved, also over another one.

    In another process: one that loads a URL again has its first copy, of any remote filesystem.
    """
    for count in (COUNT, 2 * COUNT):
        as_user(saved, bucket, count)
