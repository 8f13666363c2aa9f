"""zarr 3: arrays of many chunks, each an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


def arrays(bucket: str) -> None:
    """Create, append, change and read arrays of a group."""
    values = np.arange(10_000).reshape(100, 100)
    group = zarr.open_group(f"{bucket}/data.zarr", mode="w")
    array = group.create_array("values", shape=(100, 100), chunks=(30, 30), dtype="i8")
    array[:] = values
    array.append(values[:50])
    array[3:5, 7:9] = -1
    expected = np.concatenate([values, values[:50]])
    expected[3:5, 7:9] = -1
    again = zarr.open_group(f"{bucket}/data.zarr", mode="r")
    np.testing.assert_array_equal(again["values"][:], expected)
    np.testing.assert_array_equal(again["values"][20:90:7, 5], expected[20:90:7, 5])
    assert list(again.array_keys()) == ["values"]
    assert zarr.open(f"{bucket}/data.zarr/values", mode="r").shape == (150, 100)


def shards(bucket: str) -> None:
    """Read chunks that are ranges of larger objects."""
    values = np.arange(4096).reshape(64, 64)
    store = FsspecStore.from_url(f"{bucket}/sharded.zarr", storage_options={"concurrency": 4})
    array = zarr.create_array(store, shape=(64, 64), chunks=(8, 8), shards=(32, 32), dtype="i4")
    array[:] = values
    np.testing.assert_array_equal(
        zarr.open_array(store, mode="r")[10:50, 3:60], values[10:50, 3:60]
    )


def changes(bucket: str) -> None:
    """Remove an array, and make one where one is."""
    group = zarr.open_group(f"{bucket}/data.zarr", mode="w")
    for name in ("a", "b"):
        group.create_array(name, data=np.arange(10))
    del group["a"]
    assert list(group.array_keys()) == ["b"]
    assert not fsspec.filesystem("ais").exists(f"{bucket}/data.zarr/a")
    with pytest.raises(Exception, match="exists"):
        group.create_array("b", data=np.arange(3))
    group.create_array("b", data=np.arange(3), overwrite=True)
    np.testing.assert_array_equal(group["b"][:], np.arange(3))
    with pytest.raises(FileNotFoundError):
        zarr.open_array(f"{bucket}/none.zarr", mode="r")


def test_arrays(as_user: AsUser, bucket: str) -> None:
    """Arrays are created, appended to, changed in part and read back."""
    as_user(arrays, bucket)


def test_shards(as_user: AsUser, bucket: str) -> None:
    """So are those whose objects hold many chunks."""
    as_user(shards, bucket)


def test_changes(as_user: AsUser, bucket: str) -> None:
    """An array is removed and replaced; a missing one is a FileNotFoundError."""
    as_user(changes, bucket)
