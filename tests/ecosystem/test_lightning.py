"""Lightning: checkpoints by URL, and a run that goes on from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser


class Model(lightning.LightningModule):
    """A model of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Learn a little."""
        loss = (self.weight - batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return one with a state."""
        return torch.optim.Adam(self.parameters())


def trainer(folder: str, epochs: int) -> lightning.Trainer:
    """Return one that keeps the last two checkpoints of a folder."""
    callback = ModelCheckpoint(dirpath=folder, save_top_k=2, monitor="loss", save_last=True)
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def fit(bucket: str) -> None:
    """Train, and go on from the last checkpoint."""
    folder = f"{bucket}/run/checkpoints"
    loader = DataLoader([torch.ones(1)] * 8, batch_size=4)
    first = trainer(folder, 3)
    first.fit(Model(), loader)
    fs = fsspec.filesystem("ais")
    assert fs.isfile(f"{folder}/last.ckpt")
    assert len(fs.glob(f"{folder}/epoch=*.ckpt")) == 2
    assert first.checkpoint_callback.best_model_path == f"{folder}/epoch=2-step=6.ckpt"
    model = Model()
    second = trainer(folder, 5)
    second.fit(model, loader, ckpt_path=f"{folder}/last.ckpt", weights_only=False)
    assert (second.current_epoch, second.global_step) == (5, 10)
    loaded = Model.load_from_checkpoint(f"{folder}/last.ckpt", weights_only=False)
    assert torch.equal(loaded.weight, model.weight.cpu())
    assert len(fs.glob(f"{folder}/epoch=*.ckpt")) == 2


def test_fit(as_user: AsUser, bucket: str) -> None:
    """Checkpoints are saved, kept to a number, and resumed from, by URL."""
    as_user(fit, bucket)
