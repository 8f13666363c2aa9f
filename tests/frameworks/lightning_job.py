"""What `test_lightning` runs: a fit of two epochs by every front end, on one or two devices."""

from __future__ import annotations

import sys
from typing import Any

import lightning
import torch
from torch import nn

from frameworks.front_ends import length_of, loader, padding_of
from frameworks.record import write


class Counting(lightning.LightningModule):
    """A model of one number that writes down what each step gets."""

    def __init__(self, folder: str, case: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.read: list[torch.Tensor] = []
        self.where = folder, case
        self.length: int | None = None

    def on_train_start(self) -> None:
        """Ask for the length once it is known who is who."""
        self.length = length_of(self.trainer.train_dataloader)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Take the batch down."""
        self.read.append(batch.clone())
        return (self.weight * batch).mean()

    def on_train_epoch_end(self) -> None:
        """Write what this rank read."""
        loader: Any = self.trainer.train_dataloader
        more = {"length": self.length, "padding": padding_of(loader.dataset)}
        write(*self.where, self.global_rank, self.current_epoch, self.read, **more)
        self.read.clear()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return one that does next to nothing."""
        return torch.optim.SGD(self.parameters(), lr=1e-9)


def main(bucket: str, folder: str, devices: str) -> None:
    """Fit by every front end; all loaders are made, and their length is taken, before."""
    loaders = {
        f"{front_end} {workers} {'sampler' if sampler else 'no sampler'}": (
            loader(front_end, bucket, workers),
            sampler,
        )
        for front_end in ("iter", "shards", "map", "pipes")
        for workers in (0, 2)
        for sampler in (True, False)
        # Without its sampler every rank has all of a map dataset, as it has to.
        if sampler or front_end != "map"
    }
    for batches, _ in loaders.values():
        length_of(batches)  # an error here, in a child that knows no rank yet, ends the job
    for case, (batches, sampler) in loaders.items():
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=int(devices),
            strategy="ddp" if devices == "2" else "auto",
            max_epochs=2,
            use_distributed_sampler=sampler,
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Counting(folder, case), batches)


if __name__ == "__main__":
    main(*sys.argv[1:])
