"""torch: workers of a DataLoader that open files by a filesystem that their parent has used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser

COUNT = 24


class Files(Dataset):
    """The contents of files; it holds the filesystem, or finds it where it reads."""

    def __init__(self, paths: list[str], fs: Any) -> None:
        self.paths, self.fs = paths, fs

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> str:
        fs = self.fs or fsspec.filesystem("ais")
        with fs.open(self.paths[index]) as file:
            return file.read().decode()


def read(bucket: str, start_method: str) -> None:
    """Use the filesystem, and read in workers; the parent goes on using it meanwhile."""
    fs = fsspec.filesystem("ais")
    fs.pipe({f"{bucket}/{number:02d}": b"%02d" % number for number in range(COUNT)})
    paths = fs.ls(bucket, detail=False)
    with fs.open(paths[0]) as file:
        file.read()
    for held in (fs, None):
        loader = DataLoader(
            Files(paths, held), num_workers=2, multiprocessing_context=start_method, batch_size=4
        )
        read = []
        for batch in loader:
            read += batch
            assert fs.cat(paths[1]) == b"01"
        assert read == [f"{number:02d}" for number in range(COUNT)]


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_workers(as_user: AsUser, bucket: str, start_method: str) -> None:
    """However the workers start, they read what their parent reads."""
    as_user(read, bucket, start_method)
