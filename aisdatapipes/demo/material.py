"""Material: the images of a demo, as single files and in shards, and what is made of each."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import torch
from PIL import Image

__all__ = ["ImageForm", "LazyFiles", "Material", "tar_of"]


@dataclass(frozen=True)
class ImageForm:
    """What images of any kind are made for the network.

    Attributes:
        classes: Names of the folders, in the order of the labels.
        side: Width and height in pixels; images of another size are stretched or shrunk.
        mode: Pillow's, ``L`` for brightness or ``RGB`` for colours.
    """

    classes: tuple[str, ...]
    side: int
    mode: str

    @property
    def channels(self) -> int:
        """Numbers for each pixel."""
        return len(self.mode)

    def to_tensor(self, stream: IO[bytes]) -> torch.Tensor:
        """Return an image of shape (channels, side, side), with values from 0 to 1.

        Raises:
            OSError: It is none, or is cut.
        """
        with Image.open(stream) as file:
            file.draft(self.mode, (self.side, self.side))  # of a big JPEG no more than is needed
            image = file.convert(self.mode)
        if image.size != (self.side, self.side):
            image = image.resize((self.side, self.side))
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.reshape(self.side, self.side, self.channels).permute(2, 0, 1) / 255


@dataclass(frozen=True)
class Material:
    """The images of a demo.

    Attributes:
        form: What they become.
        files: Name of the object, such as ``train/003.three/003_0007.png``, to its content.
        shards: Name of the shard, ``images-train-000000.tar`` and so on, to its content.
        counts: How many images ``train`` and ``test`` have.
        shard_prefix: What the names of shards begin with, before ``train`` or ``test``.
    """

    form: ImageForm
    files: Mapping[str, bytes]
    shards: Mapping[str, bytes]
    counts: dict[str, int]
    shard_prefix: str


class LazyFiles(Mapping[str, bytes]):
    """Files that are read or made when they are needed, so that not all are in memory.

    Args:
        makers: Name to what returns the content.

    Example:
        >>> LazyFiles({"a": lambda: b"content"})["a"]
        b'content'
    """

    def __init__(self, makers: Mapping[str, Callable[[], bytes]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> bytes:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a tar of members: name and content of each."""
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return shard.getvalue()
