"""What `test_ray` runs: Ray Train with two workers on this machine, for two epochs."""

from __future__ import annotations

import sys
from typing import Any

import ray
from ray import train
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, prepare_data_loader

from frameworks.front_ends import length_of, loader, padding_of
from frameworks.record import write


def read(configuration: dict[str, str]) -> None:
    """Read two epochs by loaders that Ray prepared."""
    rank = train.get_context().get_world_rank()
    for front_end in ("iter", "shards", "map", "pipes"):
        for workers in (0, 2):
            given = loader(front_end, configuration["bucket"], workers)
            batches: Any = prepare_data_loader(given)
            case = f"{front_end} {workers}"
            for epoch in range(2):
                if hasattr(batches.sampler, "set_epoch"):
                    batches.sampler.set_epoch(epoch)
                length, got = length_of(batches), list(batches)
                more = {"length": length, "padding": padding_of(given.dataset)}
                write(configuration["folder"], case, rank, epoch, got, **more)


def main(bucket: str, folder: str, temporary: str) -> None:
    """Run ray for one job, and end it."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _temp_dir=temporary,
        object_store_memory=100 * 2**20,
    )
    try:
        TorchTrainer(
            read,
            train_loop_config={"bucket": bucket, "folder": folder},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(storage_path=folder),
        ).fit()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
