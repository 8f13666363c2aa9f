"""What `test_torchrun` runs in every rank: two epochs, with a DataLoader and without one."""

from __future__ import annotations

import sys
import warnings

import torch
import torch.distributed as dist

from frameworks.front_ends import dataset, length_of, loader, padding_of
from frameworks.record import write


def main(bucket: str, folder: str) -> None:
    """Read by every iterable front end."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    for front_end in ("iter", "shards", "pipes"):
        alone = dataset(front_end, bucket)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for epoch in range(2):
                read = [torch.tensor(list(alone))]
                said = [str(w.message) for w in caught if w.category is UserWarning]
                case = f"{front_end} alone"
                write(folder, case, rank, epoch, read, padding=padding_of(alone), warnings=said)
        for workers in (0, 2):
            batches = loader(front_end, bucket, workers)
            for epoch in range(2):
                more = {"length": length_of(batches)}
                got = list(batches)
                more["padding"] = padding_of(batches.dataset)
                write(folder, f"{front_end} {workers}", rank, epoch, got, **more)
    off = dataset("iter", bucket, ranks="off")
    for epoch in range(2):
        write(folder, "iter off", rank, epoch, [torch.tensor(list(off))])
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
