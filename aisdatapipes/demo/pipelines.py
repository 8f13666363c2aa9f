"""The two pipelines, from URLs in AIStore to images and labels: what the demo is about.

A ``DataLoader`` runs either in its workers. Each worker lists all URLs, in the same seeded order,
and ``sharding_filter`` leaves it its share of them; only what comes behind is read. Images are
decoded in the worker, so that tensors, and no open streams, cross to the training process.

Outside of this package, ``import aisdatapipes`` comes first: it gives pipes these methods.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import IO, Any

import torch
from PIL import Image
from torch.utils.data import IterDataPipe

from aisdatapipes.datapipes import IterableWrapper

__all__ = ["Sample", "file_pipe", "shard_pipe"]

Sample = tuple[torch.Tensor, int]
"""An image of shape (1, height, width) with values from 0 to 1, and its class."""


def file_pipe(prefix: str, endpoint: str) -> IterDataPipe[Sample]:
    """Read images that are one object each, ``ais://bucket/train/003.three/003_0007.png``.

    Args:
        prefix: URL under which they are, ``ais://bucket/train/``.
        endpoint: Address of the cluster.
    """
    return (
        IterableWrapper([prefix])
        .list_files_by_ais(url=endpoint)
        .shuffle()
        .sharding_filter()
        .load_files_by_ais(url=endpoint)
        .map(decode_file)
    )


def shard_pipe(prefix: str, endpoint: str) -> IterDataPipe[Sample]:
    """Read images that are members of tar shards, ``003_0007.png`` beside ``003_0007.cls``.

    The order of the shards is shuffled, and then that of the images within the buffer.

    Args:
        prefix: URL under which the shards are, ``ais://bucket/digits-train-``.
        endpoint: Address of the cluster.
    """
    return (
        IterableWrapper([prefix])
        .list_files_by_ais(url=endpoint)
        .shuffle()
        .sharding_filter()
        .load_samples_by_ais(url=endpoint)
        .map(decode_sample)
        .shuffle(buffer_size=500)
    )


def decode_file(item: tuple[str, IO[bytes]]) -> Sample:
    """Turn ``(url, stream)`` into an image and its class, which the folder's name begins with."""
    url, stream = item
    label, _, _ = PurePosixPath(url).parent.name.partition(".")
    return _to_tensor(stream), int(label)


def decode_sample(sample: dict[str, Any]) -> Sample:
    """Turn the members that share a key into an image and its class."""
    return _to_tensor(io.BytesIO(sample["png"])), int(sample["cls"])


def _to_tensor(stream: IO[bytes]) -> torch.Tensor:
    with Image.open(stream) as image:
        brightness = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return brightness.reshape(1, image.height, image.width) / 255
