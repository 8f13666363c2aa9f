"""The names of the pipes: functional ones, classes, parameters, in any order of imports."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from torch.utils.data import IterDataPipe
from torchdata.datapipes.iter import IterableWrapper

import aisdatapipes
from aisdatapipes import AISFileLister, AISFileLoader, AISSourceLister


@pytest.mark.parametrize(
    ("pipe", "functional_names"),
    [
        (AISFileLister, ["list_files_by_ais", "ais_list_files"]),
        (AISFileLoader, ["load_files_by_ais", "ais_load_files"]),
        (AISSourceLister, ["ais_list_sources"]),
    ],
)
def test_functional_names(
    monkeypatch: pytest.MonkeyPatch, pipe: type[IterDataPipe], functional_names: list[str]
) -> None:
    """Every name of torchdata's and of AIStore's former pipes gives ours."""
    monkeypatch.setenv("AIS_ENDPOINT", "localhost:8080")
    for name in functional_names:
        assert type(getattr(IterableWrapper([]), name)()) is pipe


def test_class_names() -> None:
    """The long names of the former classes are the same classes."""
    assert aisdatapipes.AISFileListerIterDataPipe is AISFileLister
    assert aisdatapipes.AISFileLoaderIterDataPipe is AISFileLoader


@pytest.mark.parametrize(
    ("pipe", "parameters"),
    [
        (AISFileLister, ["source_datapipe", "url", "length"]),
        (AISFileLoader, ["source_datapipe", "url", "length", "etl_name"]),
        (AISSourceLister, ["ais_sources", "prefix", "etl_name"]),
    ],
)
def test_positional_parameters(pipe: type[IterDataPipe], parameters: list[str]) -> None:
    """The positional parameters are the former ones, in their order; ours are keywords only."""
    found = inspect.signature(pipe).parameters.values()
    assert [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD] == parameters


@pytest.mark.parametrize(
    "imports",
    [
        "import aisdatapipes; import torchdata.datapipes.iter",
        "import warnings; warnings.simplefilter('ignore');"
        "import torchdata.datapipes.iter; import aisdatapipes",
        "import aisdatapipes, importlib; importlib.reload(aisdatapipes.datapipes);"
        "importlib.reload(aisdatapipes)",
        "import aisdatapipes, sys;"
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('aisdatapipes')];"
        "import aisdatapipes",
    ],
)
def test_registration_in_any_order_of_imports(imports: str) -> None:
    """Before or after torchdata, and again after a reload, the names give our pipes, silently."""
    check = (
        "from torchdata.datapipes.iter import IterableWrapper\n"
        "pipe = IterableWrapper([]).list_files_by_ais(url='localhost:1')\n"
        "assert type(pipe).__module__.startswith('aisdatapipes'), type(pipe)\n"
        "pipe = pipe.load_files_by_ais('localhost:1')\n"
        "assert type(pipe) is aisdatapipes.AISFileLoader, type(pipe)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{imports}\n{check}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (run.returncode, run.stderr) == (0, "")
