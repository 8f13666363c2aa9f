"""What `test_trainer` runs in every rank: the trainer of Hugging Face, for two epochs."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, Trainer, TrainingArguments

from aisdatapipes import AISIterDataset, AISMapDataset
from frameworks.front_ends import BATCH, number_of
from frameworks.record import write


def features_of(item: tuple[str, bytes]) -> dict[str, int]:
    """Return a sample as the trainer's collator wants it."""
    return {"labels": number_of(item)}


class Tiny(PreTrainedModel):
    """A model of one number."""

    config_class = PreTrainedConfig

    def __init__(self) -> None:
        super().__init__(PreTrainedConfig())
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return a loss that depends on the weight."""
        return {"loss": (self.weight * labels).mean()}


class CountingTrainer(Trainer):
    """Keeps what reaches the loss, by epoch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.read: dict[int, list[torch.Tensor]] = {}

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any
    ):
        """Take the batch down."""
        self.read.setdefault(self.epoch_now(), []).append(inputs["labels"].clone())
        return super().compute_loss(model, inputs, *args, **kwargs)

    def epoch_now(self) -> int:
        """Return the number of the epoch, which the trainer counts in fractions."""
        return int(self.state.epoch or 0)


def main(bucket: str, folder: str) -> None:
    """Train by the front ends that fit, for a number of epochs or of steps."""
    for workers in (0, 2):
        for front_end in ("iter", "map"):
            for how in ("epochs", "steps"):
                trainer = trainer_of(front_end, f"{bucket}/objects/", workers, how, folder)
                trainer.train()
                for epoch, batches in trainer.read.items():
                    case = f"{front_end} {workers} {how}"
                    write(folder, case, trainer.args.process_index, epoch, batches)


def trainer_of(
    front_end: str, objects: str, workers: int, how: str, folder: str
) -> CountingTrainer:
    """Return a trainer for two epochs."""
    if front_end == "iter":
        data = AISIterDataset(urls_list=objects, shuffle=True, transform=features_of)
    else:
        data = AISMapDataset(urls_list=objects, transform=features_of)
    # Of 200, two ranks make 12 steps of eight each and one of four.
    length: dict[str, Any] = {"num_train_epochs": 2} if how == "epochs" else {"max_steps": 26}
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        **length,
    )
    return CountingTrainer(model=Tiny(), args=arguments, train_dataset=data)


if __name__ == "__main__":
    main(*sys.argv[1:])
