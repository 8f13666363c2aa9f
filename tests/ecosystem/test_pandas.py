"""pandas: tables by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pandas as pd
import pytest

if TYPE_CHECKING:
    from aisdatapipes.testing import LocalCluster
    from ecosystem.conftest import AsUser

FRAME = pd.DataFrame({"number": range(1000), "name": [f"row {n}" for n in range(1000)]})


def formats(bucket: str, endpoint: str) -> None:
    """Write and read a table in every format."""
    for suffix, options in [
        ("parquet", {}),
        ("csv", {"index": False}),
        ("csv.gz", {"index": False}),
    ]:
        url, kind = f"{bucket}/new folder/table.{suffix}", suffix.partition(".")[0]
        getattr(FRAME, f"to_{kind}")(url, **options)
        read = getattr(pd, f"read_{kind}")
        pd.testing.assert_frame_equal(read(url), FRAME)
        by_options = read(url, storage_options={"endpoint": endpoint, "concurrency": 2})
        pd.testing.assert_frame_equal(by_options, FRAME)
    FRAME.to_json(f"{bucket}/lines.json", orient="records", lines=True)
    read = pd.read_json(f"{bucket}/lines.json", lines=True)
    pd.testing.assert_frame_equal(read, FRAME)


def pieces(bucket: str) -> list[int]:
    """Read a table in pieces; return how long they are."""
    FRAME.to_csv(f"{bucket}/table.csv", index=False)
    return [len(piece) for piece in pd.read_csv(f"{bucket}/table.csv", chunksize=300)]


def missing(bucket: str) -> tuple[str, bool]:
    """Read what is not there, write where no bucket is; return the error, and if one is now."""
    with pytest.raises(FileNotFoundError) as reading:
        pd.read_csv(f"{bucket}/none.csv")
    with pytest.raises(FileNotFoundError) as writing:
        FRAME.to_csv("ais://no-such-bucket/table.csv")
    assert "ais://no-such-bucket" in str(writing.value)
    return str(reading.value), fsspec.filesystem("ais").exists("no-such-bucket")


def broken(bucket: str) -> list[str]:
    """Fail in the middle of writing, over an old object and a new one."""

    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError("cannot be written")

    pd.DataFrame({"a": [1]}).to_csv(f"{bucket}/old.csv", index=False)
    frame = pd.DataFrame({"a": [*range(200_000), Unwritable()]})
    for name in ("old.csv", "new.csv"):
        with pytest.raises(RuntimeError, match="cannot be written"):
            frame.to_csv(f"{bucket}/{name}", index=False)
    fs = fsspec.filesystem("ais")
    return [*fs.ls(bucket, detail=False), fs.cat(f"{bucket}/old.csv").decode()]


def test_formats(as_user: AsUser, bucket: str, ais_cluster: LocalCluster) -> None:
    """A table is read as it was written, by URL alone and with ``storage_options``."""
    as_user(formats, bucket, ais_cluster.endpoint)


def test_pieces(as_user: AsUser, bucket: str) -> None:
    """A CSV can be read in pieces."""
    assert as_user(pieces, bucket) == [300, 300, 300, 100]


def test_missing(as_user: AsUser, bucket: str) -> None:
    """What is missing is a FileNotFoundError, and no mistyped bucket appears."""
    message, is_there = as_user(missing, bucket)
    assert "none.csv" in message
    assert bucket in message
    assert not is_there


def test_broken(as_user: AsUser, bucket: str) -> None:
    """A table that cannot be written to its end leaves the old object, and no new one."""
    name = bucket.removeprefix("ais://")
    assert as_user(broken, bucket) == [f"{name}/old.csv", "a\n1\n"]
