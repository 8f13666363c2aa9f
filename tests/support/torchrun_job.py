"""What `test_ranks_torchrun` runs in every rank: read an epoch in step with the other ranks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset


def main(url: str, start_method: str, folder: str) -> None:
    """Make the dataset before there is a group, read it in the group, write what was read."""
    dataset = AISIterDataset(urls_list=url, shuffle=True)
    dist.init_process_group("gloo")
    loader = DataLoader(
        dataset,
        batch_size=4,
        collate_fn=list,
        num_workers=2,
        multiprocessing_context=start_method,
    )
    batches = []
    for batch in loader:
        batches.append([name for name, _ in batch])
        # As DDP does: a rank that made more steps than the others would wait here forever.
        dist.all_reduce(torch.ones(1))
    Path(folder, f"{dist.get_rank()}.json").write_text(json.dumps(batches))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
