"""torch: checkpoints of one process and of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest
import torch

from support.torchrun import torchrun

if TYPE_CHECKING:
    from aisdatapipes.testing import LocalCluster
    from ecosystem.conftest import AsUser

JOB = Path(__file__).with_name("checkpoint_job.py")


def save_and_load(bucket: str) -> None:
    """Save a state by a file, and load it, whole and lazily."""
    state = {"weight": torch.arange(3_000_000.0), "epoch": 7}
    with fsspec.open(f"{bucket}/runs/last.pt", "wb") as file:
        torch.save(state, file)
    with fsspec.open(f"{bucket}/runs/last.pt", "rb") as file:
        loaded = torch.load(file, weights_only=True)
    assert torch.equal(loaded["weight"], state["weight"])
    assert loaded["epoch"] == 7


def fail_to_save(bucket: str) -> bytes:
    """Save what cannot be pickled, over an old checkpoint; return what is there."""
    fs = fsspec.filesystem("ais")
    fs.pipe(f"{bucket}/last.pt", b"old")
    with pytest.raises(AttributeError), fs.open(f"{bucket}/last.pt", "wb") as file:
        torch.save({"weight": torch.zeros(9_000_000), "function": lambda: None}, file)
    return fs.cat(f"{bucket}/last.pt").decode()


def test_save_and_load(as_user: AsUser, bucket: str) -> None:
    """A state of several parts is loaded as it was saved."""
    as_user(save_and_load, bucket)


def test_fail_to_save(as_user: AsUser, bucket: str) -> None:
    """A checkpoint that fails leaves the one before."""
    assert as_user(fail_to_save, bucket) == "old"


def test_distributed_checkpoint(ais_cluster: LocalCluster, bucket: str) -> None:
    """Two ranks save and load a sharded checkpoint, at once and in the background."""
    torchrun(ais_cluster.endpoint, JOB, bucket)
    fs = fsspec.filesystem("ais", endpoint=ais_cluster.endpoint)
    for name in ("now", "later"):
        assert fs.isfile(f"{bucket}/{name}/.metadata")
        assert len(fs.glob(f"{bucket}/{name}/*.distcp")) == 2
