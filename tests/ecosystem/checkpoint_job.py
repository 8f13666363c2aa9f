"""What `test_torch_checkpoints` runs: a checkpoint that two ranks save, and load again."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor


def main(bucket: str) -> None:
    """Save and load, at once and in the background."""
    dist.init_process_group("cpu:gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    weight = torch.arange(400_000.0).reshape(2, -1)

    def state(values: torch.Tensor) -> dict:
        return {"weight": distribute_tensor(values, mesh, [Shard(0)]), "steps": torch.tensor(5)}

    def check(name: str) -> None:
        loaded = state(torch.zeros_like(weight))
        dcp.load(loaded, storage_reader=FsspecReader(f"{bucket}/{name}"))
        assert torch.equal(loaded["weight"].full_tensor(), weight)

    for _ in range(2):  # the second time over what is there
        dcp.save(state(weight), storage_writer=FsspecWriter(f"{bucket}/now"))
    check("now")
    dcp.async_save(state(weight), storage_writer=FsspecWriter(f"{bucket}/later")).result()
    check("later")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
