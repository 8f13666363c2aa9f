"""The two pipelines, from URLs in AIStore to images and labels: what the demo is about.

A ``DataLoader`` runs either in its workers. Each worker lists all URLs, in the same seeded order,
and ``sharding_filter`` leaves it its share of them; only what comes behind is read. Images are
decoded in the worker, so that tensors, and no open streams, cross to the training process.

Outside of this package, ``import aisdatapipes`` comes first: it gives pipes these methods.
"""

from __future__ import annotations

import io
from functools import partial
from typing import IO, Any

import torch
from torch.utils.data import IterDataPipe

from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.demo.material import ImageForm

__all__ = ["Sample", "file_pipe", "shard_pipe"]

Sample = tuple[torch.Tensor, int]
"""An image of shape (channels, height, width) with values from 0 to 1, and its class."""

_IMAGES = ("png", "jpg", "jpeg")


def file_pipe(prefix: str, endpoint: str, form: ImageForm) -> IterDataPipe[Sample]:
    """Read images that are one object each, ``ais://bucket/train/003.three/003_0007.png``.

    Args:
        prefix: URL under which they are, ``ais://bucket/train/``.
        endpoint: Address of the cluster.
        form: What becomes of an image.
    """
    return (
        IterableWrapper([prefix])
        .list_files_by_ais(url=endpoint)
        .shuffle()
        .sharding_filter()
        .load_files_by_ais(url=endpoint)
        .map(partial(decode_file, prefix, form))
    )


def shard_pipe(prefix: str, endpoint: str, form: ImageForm) -> IterDataPipe[Sample]:
    """Read images that are members of tar shards, ``003_0007.png`` beside ``003_0007.cls``.

    The order of the shards is shuffled, and then that of the images within the buffer.

    Args:
        prefix: URL under which the shards are, ``ais://bucket/digits-train-``.
        endpoint: Address of the cluster.
        form: What becomes of an image.
    """
    return (
        IterableWrapper([prefix])
        .list_files_by_ais(url=endpoint)
        .shuffle()
        .sharding_filter()
        .load_samples_by_ais(url=endpoint)
        .map(partial(decode_sample, form))
        .shuffle(buffer_size=500)
    )


def decode_file(prefix: str, form: ImageForm, item: tuple[str, IO[bytes]]) -> Sample:
    """Turn ``(url, stream)`` into an image and its class, which is the first folder's."""
    url, stream = item
    name, _, _ = url.removeprefix(prefix).partition("/")
    return form.to_tensor(stream), form.classes.index(name)


def decode_sample(form: ImageForm, sample: dict[str, Any]) -> Sample:
    """Turn the members that share a key into an image and its class."""
    content = next(sample[kind] for kind in _IMAGES if kind in sample)
    return form.to_tensor(io.BytesIO(content)), int(sample["cls"])
