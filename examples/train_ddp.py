"""Train a small network on several processes, from objects in AIStore, and resume where it stopped.

Every object is one digit of 8 x 8 pixels, 64 bytes, under the digit it shows: ``3/0017``. Each
process, and each of its DataLoader workers, reads its own share of them.

    AIS_ENDPOINT=http://localhost:8080 torchrun --nproc-per-node=2 examples/train_ddp.py \
        ais://digits/ digits.pt --epochs=3

Run it again after an interruption, with as many processes or others: it goes on after the last
checkpoint, with the objects that were not read before it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISIterDataset, merge_states

BATCH = 16
SAVED_EVERY = 7


def decode(pair: tuple[str, bytes]) -> tuple[torch.Tensor, int]:
    """Make an image and its label of an object's name and content."""
    name, content = pair
    pixels = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return pixels.float() / 255, int(name.partition("/")[0])


class Training:
    """A model, its data, and how far it has come."""

    def __init__(self, url: str, workers: int) -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.model = DistributedDataParallel(layers)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        # Equally many steps in every rank are the default; DDP relies on it.
        self.dataset = AISIterDataset(
            urls_list=url, transform=decode, shuffle=True, loader_batch_size=BATCH
        )
        self.loader = StatefulDataLoader(self.dataset, BATCH, num_workers=workers)
        self.epoch = self.step = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint of all ranks, at once or not at all."""
        loaders: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(loaders, self.loader.state_dict())
        if dist.get_rank() == 0:
            plain = {name: getattr(self, name) for name in ("epoch", "step")}
            states = {name: getattr(self, name).state_dict() for name in ("model", "optimizer")}
            torch.save({**plain, **states, "loaders": loaders}, f"{path}.new")
            Path(f"{path}.new").replace(path)

    def restore(self, path: Path) -> None:
        """Go on where a checkpoint was written, with as many ranks or others."""
        saved = torch.load(path)
        self.epoch, self.step = saved["epoch"], saved["step"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if len(saved["loaders"]) == dist.get_world_size():
            self.loader.load_state_dict(saved["loaders"][dist.get_rank()])
        else:
            self.dataset.load_state_dict(merge_states(saved["loaders"]))

    def run_epoch(self, path: Path) -> float:
        """Train on what is left of the epoch; return the mean loss."""
        self.dataset.set_epoch(self.epoch)
        losses = []
        for images, labels in self.loader:
            loss = nn.functional.cross_entropy(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            self.step += 1
            if self.step % SAVED_EVERY == 0:
                self.save(path)
        return sum(losses) / max(len(losses), 1)


def train(url: str, path: Path, epochs: int, workers: int) -> None:
    """Train this rank, from the latest checkpoint on."""
    training = Training(url, workers)
    if path.exists():
        training.restore(path)
    while training.epoch < epochs:
        loss = training.run_epoch(path)
        place = f"rank {dist.get_rank()} epoch {training.epoch} step {training.step}"
        print(f"{place} loss {loss:.3f}")  # noqa: T201 - what a user of the script watches
        training.epoch += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    train(arguments.url, arguments.checkpoint, arguments.epochs, arguments.workers)
    dist.destroy_process_group()
