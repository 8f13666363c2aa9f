"""``aisdatapipes.compat``: imports of AIStore's own plugin give ours, in any order of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes.testing import LocalCluster

FORMER = """
from aistore.pytorch import (
    AISBaseIterDataset, AISBaseMapDataset, AISDataset, AISFileLister, AISFileLoader, AISIterDataset,
    AISMapDataset, AISMultiShardStream, AISParallelMapDataset, AISShardReader, AISSourceLister,
    DynamicBatchSampler,
)
from aistore.pytorch.aisio import AISFileListerIterDataPipe, AISFileLoaderIterDataPipe
from aistore.pytorch.base_iter_dataset import AISBaseIterDataset
from aistore.pytorch.base_map_dataset import AISBaseMapDataset
from aistore.pytorch.batch_iter_dataset import AISBatchIterDataset
from aistore.pytorch.dataset import AISDataset, AISIterDataset, AISMultiShardStream
from aistore.pytorch.dynamic_sampler import DynamicBatchSampler
from aistore.pytorch.iter_dataset import AISIterDataset
from aistore.pytorch.map_dataset import AISMapDataset
from aistore.pytorch.multishard_dataset import AISMultiShardStream
from aistore.pytorch.parallel_map_dataset import AISParallelMapDataset
from aistore.pytorch.shard_reader import AISShardReader
from aistore.pytorch.worker_request_client import WorkerRequestClient
import aistore.pytorch
import aistore.pytorch.shard_reader as by_path
from aistore.pytorch.utils import convert_mb_to_bytes
"""
CHECK = """
ours = [one for name, one in list(globals().items()) if name.startswith(("AIS", "Dyn", "Worker"))]
assert len(ours) == 16, len(ours)
assert {one.__module__.split(".")[0] for one in ours} == {"aisdatapipes"}, ours
assert aistore.pytorch.AISMapDataset is AISMapDataset
assert by_path.AISShardReader is AISShardReader
assert convert_mb_to_bytes(2) == 2_000_000
"""

# What AIStore's package needs and the tests' environment does not have, so that it can be run.
PROGRESS = "def alive_it(items, **options):\n    return items\n"


def run(script: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder of its own."""
    folder.joinpath("main.py").write_text(script)
    return subprocess.run(
        [sys.executable, *options, "main.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "imports",
    [
        "import aisdatapipes.compat",
        "import aistore.pytorch.iter_dataset\nimport aisdatapipes.compat",
        "import aisdatapipes.compat, importlib; importlib.reload(aisdatapipes.compat)",
    ],
)
def test_every_former_path_is_ours(tmp_path: Path, imports: str) -> None:
    """Every name and module path of AIStore's plugin gives ours, silently; its rest stays."""
    tmp_path.joinpath("alive_progress.py").write_text(PROGRESS)
    done = run(f"{imports}\n{FORMER}{CHECK}", tmp_path, "-W", "error::RuntimeWarning")
    assert (done.returncode, done.stderr) == (0, "")


def test_aistores_plugin_is_not_run(tmp_path: Path) -> None:
    """What AIStore's plugin depends on need not be installed, if ours is imported first."""
    tmp_path.joinpath("alive_progress.py").write_text("raise ImportError('not installed')")
    done = run(f"import aisdatapipes.compat\n{FORMER}{CHECK}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_were_taken_before(tmp_path: Path) -> None:
    """A module that has AIStore's classes already keeps them, and a warning names it."""
    tmp_path.joinpath("alive_progress.py").write_text(PROGRESS)
    tmp_path.joinpath("early.py").write_text("from aistore.pytorch import AISMapDataset\n")
    done = run("import early\nimport aisdatapipes.compat\n", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RuntimeWarning: early took names of aistore.pytorch before" in done.stderr
    assert "import aisdatapipes.compat first" in done.stderr


OLD_MODULE = """
from aistore.pytorch import AISBaseIterDataset

class Sizes(AISBaseIterDataset):
    def __iter__(self):
        objects, _ = self._get_worker_iter_info()
        for one in objects:
            yield one.name, len(one.get_reader().read_all())
"""
OLD_MAIN = """
import aisdatapipes.compat
from aistore.pytorch.dataset import AISDataset
from aistore.sdk import Client
from torch.utils.data import DataLoader
from old_module import Sizes

class Names(AISDataset):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]

if __name__ == "__main__":
    endpoint, bucket = {arguments}
    sizes = Sizes(Client(endpoint).bucket(bucket))
    sizes.names = Names(client_url=endpoint, urls_list=f"ais://{{bucket}}/")
    for sample in DataLoader(sizes, None, num_workers=1, multiprocessing_context="spawn"):
        print(sample)
    print(sorted(sizes.names))
"""


def test_spawned_workers(tmp_path: Path, ais_cluster: LocalCluster, ais_bucket: Bucket) -> None:
    """Old subclasses, of the script and of another module, go to spawned workers, and are ours."""
    for name in ("a", "b"):
        ais_bucket.object(name).get_writer().put_content(name.encode() * 3)
    tmp_path.joinpath("old_module.py").write_text(OLD_MODULE)
    done = run(OLD_MAIN.format(arguments=(ais_cluster.endpoint, ais_bucket.name)), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['a', 3]", "['b', 3]", "['a', 'b']"]
