"""What `test_accelerate` runs in every rank: two epochs by loaders, prepared or not."""

from __future__ import annotations

import sys
from typing import Any

from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader

from frameworks.front_ends import length_of, loader, padding_of
from frameworks.record import write


def main(bucket: str, folder: str, *cases: str) -> None:
    """Read each of `cases`: front end, workers and way.

    The ways of a prepared loader are ``dispatch``, ``shard``, and ``rank``, which is ``shard``
    with a rank for the dataset too; ``plain`` is not prepared.
    """
    accelerator = Accelerator(cpu=True)
    for case in cases:
        front_end, workers, way = case.split()
        both = {"rank": accelerator.process_index, "world_size": 2} if way == "rank" else {}
        batches = loader(front_end, bucket, int(workers), **both)
        if way != "plain":
            options = {} if way == "dispatch" else {"dispatch_batches": False}
            accelerator.dataloader_config = DataLoaderConfiguration(**options)
            read(accelerator, case, folder, batches, accelerator.prepare(batches))
        else:
            read(accelerator, case, folder, batches, batches)
    accelerator.end_training()


def read(
    accelerator: Accelerator, case: str, folder: str, given: DataLoader[int], batches: Any
) -> None:
    """Read two epochs, as a training loop does."""
    rank = accelerator.process_index
    for epoch in range(2):
        try:
            length = length_of(batches)
            got = list(batches)
        except Exception as error:
            write(folder, case, rank, epoch, [], error=str(error))
            raise
        write(folder, case, rank, epoch, got, length=length, padding=padding_of(given.dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
