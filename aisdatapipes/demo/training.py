"""Training: a small CNN, fed by a pipeline through a ``DataLoader`` with two workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, IterDataPipe
from tqdm import tqdm

from aisdatapipes.demo.errors import DemoError
from aisdatapipes.demo.material import ImageForm
from aisdatapipes.demo.pipelines import Sample

__all__ = ["EPOCHS", "WORKERS", "Result", "train_and_test"]

EPOCHS = 8
WORKERS = 2

_BATCH_SIZE = 32
_LEARNING_RATE = 3e-3
_SEED = 256


@dataclass(frozen=True)
class Result:
    """What came out of one training.

    Attributes:
        accuracy: Share of the held-out images that were classified correctly.
        seconds: Wall time of the training, the start of the workers included.
    """

    accuracy: float
    seconds: float


def train_and_test(
    training: IterDataPipe[Sample],
    held_out: IterDataPipe[Sample],
    counts: dict[str, int],
    form: ImageForm,
) -> Result:
    """Train a new CNN on one pipeline and test it on the other.

    Args:
        training: Images to train on.
        held_out: Images to test on.
        counts: How many images ``train`` and ``test`` have, to check what was read.
        form: What the images are.

    Raises:
        DemoError: An epoch did not have as many images as are stored.
        AISPipeError: The cluster failed.
    """
    with _seeded():
        model = _new_cnn(form)
        start = time.perf_counter()
        _train(model, training, counts["train"])
        seconds = time.perf_counter() - start
        return Result(_test(model, held_out, counts["test"]), seconds)


@contextmanager
def _seeded() -> Iterator[None]:
    """Make the block repeatable, and leave torch's state to the caller as it was."""
    threads = torch.get_num_threads()
    # The images are tiny, and the cores are busy with the workers and the cluster.
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            yield
    finally:
        torch.set_num_threads(threads)


def _new_cnn(form: ImageForm) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(form.channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (form.side // 2) ** 2, len(form.classes)),
    )


def _loader(pipe: IterDataPipe[Sample], *, shuffle: bool) -> DataLoader[Sample]:
    return DataLoader(
        pipe,
        batch_size=_BATCH_SIZE,
        shuffle=shuffle,
        num_workers=WORKERS,
        persistent_workers=True,
        generator=torch.Generator().manual_seed(_SEED),
    )


def _train(model: nn.Module, pipe: IterDataPipe[Sample], images: int) -> None:
    loader = _loader(pipe, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    with tqdm(
        desc="training", total=EPOCHS * images, unit=" images", disable=None, leave=False
    ) as bar:
        for epoch in range(EPOCHS):
            seen = 0
            for pixels, labels in loader:
                _step(model, optimizer, pixels, labels)
                seen += len(labels)
                bar.update(len(labels))
            _check_count(f"epoch {epoch + 1}", seen, images)


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, pixels: torch.Tensor, labels: torch.Tensor
) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(pixels), labels).backward()
    optimizer.step()


@torch.no_grad()
def _test(model: nn.Module, pipe: IterDataPipe[Sample], images: int) -> float:
    correct = seen = 0
    for pixels, labels in _loader(pipe, shuffle=False):
        correct += int((model(pixels).argmax(1) == labels).sum())
        seen += len(labels)
    _check_count("the test", seen, images)
    return correct / seen


def _check_count(phase: str, seen: int, images: int) -> None:
    if seen != images:
        raise DemoError(f"{phase} read {seen} images where {images} are stored")
