"""Train a small network by Ray Train, from objects in AIStore, with checkpoints in AIStore.

Every object is one digit of 8 x 8 pixels, 64 bytes, under the digit it shows: ``3/0017``. Ray
reads them, by as many tasks as there is room for, and gives every worker its shard of the rows.

    AIS_ENDPOINT=http://localhost:8080 python examples/ray_train.py \
        ais://digits/ fsspec+ais://runs/digits --epochs=3

The second argument is a folder for checkpoints: an fsspec URL, or a path that all machines have.
Run it again after an interruption, or with more epochs: it goes on after the last one. To use a
cluster of Ray that runs already, set RAY_ADDRESS.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import train
from ray.data import DataIterator
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, prepare_model
from torch import nn

from aisdatapipes.ray import read_ais

BATCH = 16


def decode(batch: Any) -> dict[str, np.ndarray]:
    """Make images and labels of the contents and URLs of some objects."""
    pixels = [np.frombuffer(content, np.uint8) for content in batch["bytes"]]
    labels = [int(url.split("/")[-2]) for url in batch["url"]]
    return {"pixels": np.stack(pixels).astype(np.float32) / 255, "digit": np.array(labels)}


class Training:
    """A model, and how many epochs it has seen."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.epoch = 0

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Go on where a checkpoint was written, if there is one."""
        if checkpoint:
            # Not as_directory(), which the workers of a machine share: in Ray 2.60 one may remove
            # the folder while another begins to use it.
            with tempfile.TemporaryDirectory() as folder:
                saved = torch.load(Path(checkpoint.to_directory(folder), "training.pt"))
            self.epoch = saved["epoch"]
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])

    def report(self, loss: float) -> None:
        """Tell Ray how it is going; the first worker writes the checkpoint for all."""
        names = ("model", "optimizer")
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if train.get_context().get_world_rank() == 0:
                states = {name: getattr(self, name).state_dict() for name in names}
                torch.save({"epoch": self.epoch, **states}, Path(folder, "training.pt"))
                checkpoint = Checkpoint.from_directory(folder)
            train.report({"epoch": self.epoch, "loss": loss}, checkpoint)

    def run_epoch(self, shard: DataIterator) -> float:
        """Train on every row of this worker's shard once; return the mean loss."""
        parallel, losses = prepare_model(self.model), []
        for batch in shard.iter_torch_batches(batch_size=BATCH, local_shuffle_buffer_size=256):
            loss = nn.functional.cross_entropy(parallel(batch["pixels"]), batch["digit"])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / max(len(losses), 1)


def work(configuration: dict[str, Any]) -> None:
    """Train, in each of the workers, from the latest checkpoint on."""
    training = Training()
    training.restore(train.get_checkpoint())
    rows: Any = train.get_dataset_shard("train")
    while training.epoch < configuration["epochs"]:
        loss = training.run_epoch(rows)
        training.epoch += 1
        training.report(loss)


def main(url: str, folder: str, epochs: int, workers: int) -> None:
    """Run the workers, and print what they came to."""
    result = TorchTrainer(
        work,
        train_loop_config={"epochs": epochs},
        datasets={"train": read_ais(url).map_batches(decode)},
        torch_config=TorchConfig(backend="gloo"),
        # Half a core each: what is left reads for them, also on a machine with two.
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 0.5}),
        run_config=RunConfig(name="digits", storage_path=folder),
    ).fit()
    if result.metrics and result.checkpoint:
        print("epoch {epoch} loss {loss:.3f}".format(**result.metrics))  # noqa: T201
        print(f"checkpoint {result.checkpoint.path}")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.url, arguments.folder, arguments.epochs, arguments.workers)
