"""torchdata 0.9, the last with pipes of its own: those that list, open and save by fsspec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.programs import find_torchdata_pipes

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


def chain(bucket: str) -> None:
    """Save files by a chain, and read them by another one, by a DataLoader too."""
    from torch.utils.data import DataLoader
    from torchdata.datapipes.iter import IterableWrapper

    texts = {f"{number}.txt": f"text {number}" for number in range(6)}
    source = IterableWrapper([(name, text.encode()) for name, text in texts.items()])
    saved = source.save_by_fsspec(mode="wb", filepath_fn=lambda name: f"{bucket}/texts/{name}")
    assert list(saved) == [f"{bucket}/texts/{name}" for name in texts]

    listed = IterableWrapper([f"{bucket}/texts"]).list_files_by_fsspec(masks="*.txt")
    assert list(listed) == [f"{bucket}/texts/{name}" for name in texts]

    opened = listed.sharding_filter().open_files_by_fsspec(mode="rb").map(contents)
    loader = DataLoader(opened, num_workers=2, batch_size=None)
    read = dict(loader)
    assert read == {f"{bucket}/texts/{name}": text for name, text in texts.items()}


def contents(pair: tuple) -> tuple[str, str]:
    """Return a file's URL and text."""
    url, stream = pair
    return url, stream.read().decode()


def test_chain(as_user: AsUser, bucket: str) -> None:
    """What one chain saves another one lists and opens, also in workers."""
    as_user(chain, bucket, first=str(find_torchdata_pipes()))
