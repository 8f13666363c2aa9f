"""Ray Train with two workers: who gets which rows, and checkpoints."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket
from ray import train
from ray.train import DataConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from aisdatapipes import Manifest
from aisdatapipes.ray import read_ais
from aisdatapipes.testing import LocalCluster
from conftest import PutObject  # pyright: ignore[reportAttributeAccessIssue]
from support.digits import store_digits
from support.torchrun import run_job

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_train.py"
LOSS = re.compile(r"^epoch \d loss (\S+)$", re.MULTILINE)
OBJECTS = 101


def take_down(configuration: dict[str, Any]) -> None:
    """Write which rows this worker gets in two epochs."""
    rank = train.get_context().get_world_rank()
    rows = train.get_dataset_shard("train")
    assert rows
    for epoch in range(2):
        batches = rows.iter_batches(batch_size=8)
        urls = [str(url) for batch in batches for url in batch["url"]]
        Path(configuration["folder"], f"{epoch}-{rank}").write_text(json.dumps(urls))


@pytest.mark.filterwarnings("default")  # Ray warns of itself
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("are_equal", [True, False])
def test_workers_share_the_rows(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    tmp_path: Path,
    are_equal: bool,
) -> None:
    """Each is in one shard, and of an odd number one is dropped, or all are in both."""
    for number in range(OBJECTS):
        put_object(ais_bucket, f"{number:03d}", b"x")
    dataset = read_ais(f"ais://{ais_bucket.name}/", endpoint=ais_cluster.endpoint)
    TorchTrainer(
        take_down,
        train_loop_config={"folder": str(tmp_path)},
        datasets={"train": dataset},
        dataset_config=DataConfig() if are_equal else DataConfig(datasets_to_split=[]),
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}),
        run_config=RunConfig(storage_path=str(tmp_path / "runs")),
    ).fit()
    everything = {f"ais://{ais_bucket.name}/{number:03d}" for number in range(OBJECTS)}
    for epoch in range(2):
        one, two = (json.loads((tmp_path / f"{epoch}-{rank}").read_text()) for rank in range(2))
        if are_equal:
            assert len(one) == len(two) == OBJECTS // 2
            assert len({*one, *two}) == OBJECTS - 1
        else:
            assert sorted(one) == sorted(two) == sorted(everything)


@pytest.fixture(scope="module")
def digits(ais_cluster: LocalCluster) -> str:
    """The address of a cluster with the digits of the example, and a bucket for its runs."""
    store_digits(ais_cluster.client().bucket("digits").create())
    ais_cluster.client().bucket("runs").create()
    return ais_cluster.endpoint


def checkpoints_in(folder: str, endpoint: str) -> list[str]:
    """Return the files of a run that are checkpoints."""
    if folder.startswith("fsspec+"):
        found = Manifest.build(folder.removeprefix("fsspec+"), client_url=endpoint).names()
    else:
        found = [str(path) for path in Path(folder).rglob("*")]
    return [path for path in found if path.endswith("/training.pt")]


@pytest.mark.timeout(400)  # Ray starts twice
@pytest.mark.parametrize(
    "folder",
    [
        "{folder}/runs",
        "fsspec+ais://runs/first",
    ],
)
def test_the_example_trains_and_resumes(digits: str, tmp_path: Path, folder: str) -> None:
    """It learns, and when it is started again it goes on behind its last checkpoint."""
    folder = folder.format(folder=tmp_path)
    command = [sys.executable, str(EXAMPLE), "ais://digits/", folder]
    losses = []
    for epochs in (1, 2):
        losses += LOSS.findall(run_job(digits, [*command, f"--epochs={epochs}"]))
        assert len(checkpoints_in(folder, digits)) == epochs  # three, had it begun anew
    assert float(losses[1]) < float(losses[0]) / 2
