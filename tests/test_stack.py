"""What the package asks of torch, torchdata and NumPy, and what it does where they lack it."""

from __future__ import annotations

from support.processes import errors_of

# What a torch without DataPipes would be: the module is gone, and so are its names.
HIDE_DATAPIPES = """
import sys, warnings
warnings.filterwarnings("ignore", "Failed to initialize NumPy")
import torch.utils.data

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("torch.utils.data.datapipes", "torchdata.datapipes")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [name for name in sys.modules if name.startswith("torch.utils.data.datapipes")]:
    del sys.modules[name]
for name in ["IterDataPipe", "MapDataPipe", "DFIterDataPipe", "functional_datapipe", "datapipes"]:
    delattr(torch.utils.data, name)
sys.meta_path.insert(0, Hidden())
"""


def test_without_datapipes_of_torch_the_rest_works() -> None:
    """Datasets, manifests and samplers do not need them."""
    assert not errors_of(
        f"""{HIDE_DATAPIPES}
import aisdatapipes
from aisdatapipes import AISIterDataset, DynamicBatchSampler, Manifest
manifest = Manifest.from_urls(["ais://b/1", "ais://b/2"])
assert len(AISIterDataset(manifest=manifest, client_url="localhost:1")) == 2
assert DynamicBatchSampler
assert not hasattr(aisdatapipes, "no_such_name")
"""
    )


def test_without_datapipes_of_torch_a_pipe_is_one_clear_error() -> None:
    """It names the datasets, and has no other error before it."""
    ways = [
        "import aisdatapipes; aisdatapipes.AISFileLister",
        "from aisdatapipes import AISFileLoader",
        "from aisdatapipes.datapipes import IterableWrapper",
        "import aisdatapipes.datapipes",
    ]
    # Each in a process that has imported torch already.
    error = errors_of(
        f"""{HIDE_DATAPIPES}
import os
for way in {ways}:
    if not os.fork():
        exec(way)
    os.wait()
"""
    )
    said = "has no DataPipes, so aisdatapipes has none: use its datasets AISIterDataset"
    assert error.count(said) == error.count("Traceback") == len(ways)


def test_numpy_is_not_needed_nor_missed() -> None:
    """The command line says nothing about NumPy where there is none."""
    hidden = "import sys; sys.modules['numpy'] = None; sys.argv[1:] = ['--help']\n"
    tensor = "import aisdatapipes.samplers, torch; torch.tensor([1])\n"
    assert not errors_of(f"{hidden}{tensor}from aisdatapipes.cli import main\nmain()", "default")


def test_a_stateful_loader_can_be_made_where_warnings_are_errors() -> None:
    """Also with a torch that has deprecated what torchdata calls there."""
    assert not errors_of(
        "import aisdatapipes\n"
        "from torchdata.stateful_dataloader import StatefulDataLoader\n"
        "assert list(StatefulDataLoader([1])) == [1]"
    )


def test_nodes_without_a_torchdata_that_has_them() -> None:
    """The error says which torchdata to install."""
    error = errors_of(
        "import sys, aisdatapipes; sys.modules['torchdata.nodes'] = None; import aisdatapipes.nodes"
    )
    assert "has no nodes: pip install 'torchdata>=0.10'" in error
