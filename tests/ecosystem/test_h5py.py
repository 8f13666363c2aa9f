"""h5py: slices of arrays in one big object, read by an open file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import fsspec
import h5py
import numpy as np

from aisdatapipes.filesystem import AISFileSystem
from ecosystem.measured import Measured

if TYPE_CHECKING:
    from aistore.sdk import Bucket

    from conftest import PutObject
    from ecosystem.conftest import AsUser
    from support.faults import FaultProxy

IMAGES = np.random.default_rng(1).integers(0, 256, (200, 64, 64), dtype="u1")


def hdf5() -> bytes:
    """Return a file with the images in chunks, and as they are."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_dataset("chunked", data=IMAGES, chunks=(10, 64, 64), compression="gzip")
        file.create_dataset("group/plain", data=IMAGES)
        file.attrs["label"] = "ü"
    return made.getvalue()


def slices(path: str) -> None:
    """Compare slices with those of the arrays."""
    with fsspec.open(path) as opened, h5py.File(opened, "r") as file:
        assert file.attrs["label"] == "ü"
        for name in ("chunked", "group/plain"):
            for part in (np.s_[3], np.s_[5:150:7, 3:60], np.s_[-1, ::2, 5], np.s_[[2, 3, 199]]):
                np.testing.assert_array_equal(file[name][part], IMAGES[part])


def written(path: str) -> None:
    """Make a file in memory, as HDF5 goes back in what it writes, and store it; then slices."""
    with fsspec.open(path, "wb") as file:
        file.write(hdf5())
    slices(path)


def test_slices(as_user: AsUser, bucket: str) -> None:
    """What is made in memory is written at once, and read by slices."""
    as_user(written, f"{bucket}/images.h5")


def test_a_slice_is_read_without_the_rest(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """Ten images of two hundred, by blocks of 32 KiB, take a part of the object."""
    content = hdf5()
    put_object(ais_bucket, "images.h5", content)
    fs = AISFileSystem(faults.endpoint, block_size=2**15)
    path = f"{ais_bucket.name}/images.h5"
    with (
        faults.rule(Measured(matches="GET /v1/objects")) as measured,
        fs.open(path) as opened,
        h5py.File(opened, "r") as file,
    ):
        np.testing.assert_array_equal(file["group/plain"][100:110], IMAGES[100:110])
    assert 0.025 < sum(measured.sizes) / len(content) < 0.25
