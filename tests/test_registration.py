"""The names of the pipes: functional ones, classes, parameters, in any order of imports."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import IterDataPipe

import aisdatapipes
from aisdatapipes import AISFileLister, AISFileLoader, AISSourceLister, AISTarLoader
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.datapipes.registration import TORCHDATA_HAS_PIPES
from support.processes import errors_of


@pytest.mark.parametrize(
    ("pipe", "functional_names"),
    [
        (AISFileLister, ["list_files_by_ais", "ais_list_files"]),
        (AISFileLoader, ["load_files_by_ais", "ais_load_files"]),
        (AISSourceLister, ["ais_list_sources"]),
        (AISTarLoader, ["load_from_tar_by_ais"]),
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
        (AISTarLoader, ["source_datapipe", "mode", "length"]),
    ],
)
def test_positional_parameters(pipe: type[IterDataPipe], parameters: list[str]) -> None:
    """The positional parameters are the former ones, in their order; ours are keywords only."""
    found = inspect.signature(pipe).parameters.values()
    assert [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD] == parameters


IMPORTS = [
    "import aisdatapipes",
    "import aisdatapipes.distributed.world, aisdatapipes",  # torch is first imported in the middle
    "import threading, aisdatapipes; threads = [threading.Thread(target=__import__, args=(name,))"
    " for name in ('torch', 'aisdatapipes.datasets')]; [one.start() for one in threads];"
    "[one.join() for one in threads]",
    "import aisdatapipes, importlib; importlib.reload(aisdatapipes.datapipes);"
    "importlib.reload(aisdatapipes)",
    "import aisdatapipes, sys;"
    "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('aisdatapipes')];"
    "import aisdatapipes",
]
# torchdata tells every importer that its next release drops DataPipes.
_TORCHDATA = (
    "import warnings; warnings.simplefilter('ignore');"
    "import torchdata.datapipes.iter; warnings.simplefilter('error');"
)
WITH_TORCHDATA = [
    f"import aisdatapipes; {_TORCHDATA}",
    f"import aisdatapipes; aisdatapipes.AISMapDataset; {_TORCHDATA}",
    f"{_TORCHDATA} import aisdatapipes",
]


@pytest.mark.parametrize("imports", IMPORTS + WITH_TORCHDATA * TORCHDATA_HAS_PIPES)
def test_registration_in_any_order_of_imports(imports: str) -> None:
    """Before or after torchdata, and again after a reload, the names give our pipes, silently."""
    check = (
        "from torch.utils.data.datapipes.iter import IterableWrapper\n"
        "pipe = IterableWrapper([]).list_files_by_ais(url='localhost:1')\n"
        "assert type(pipe).__module__.startswith('aisdatapipes'), type(pipe)\n"
        "pipe = pipe.load_files_by_ais('localhost:1')\n"
        "assert type(pipe) is aisdatapipes.AISFileLoader, type(pipe)\n"
        "name = type(pipe.load_from_tar()).__name__\n"
        f"assert name.startswith('{'TarArchive' if TORCHDATA_HAS_PIPES else 'AISTar'}'), name\n"
        "assert type(pipe.load_from_tar_by_ais()) is aisdatapipes.AISTarLoader\n"
    )
    assert errors_of(f"{imports}\n{check}") == ""


def test_a_torchdata_without_pipes_is_enough() -> None:
    """Where torchdata has none, ``load_from_tar`` is ours, and so it stays after a reload."""
    check = (
        "import sys; sys.modules['torchdata.datapipes'] = None\n"
        "import aisdatapipes, importlib\n"
        "from aisdatapipes.datapipes import IterableWrapper, Mapper\n"
        "assert type(IterableWrapper([]).load_from_tar()) is aisdatapipes.AISTarLoader\n"
        "importlib.reload(aisdatapipes.datapipes)\n"
        "assert list(Mapper(IterableWrapper(['a']), len)) == [1]\n"
    )
    assert errors_of(check) == ""


LIGHT = [
    "aisdatapipes",
    "aisdatapipes.cli",
    "aisdatapipes.client.connection",
    "aisdatapipes.filesystem",
    "aisdatapipes.listing.bucket_listing",
    "aisdatapipes.reading.streams",
    "aisdatapipes.tar",
    "aisdatapipes.testing",
    "aisdatapipes.writing.put",
]


def test_what_needs_no_torch_does_not_import_it() -> None:
    """The filesystem, the command line and all below them come without torch."""
    check = (
        f"import sys, {', '.join(LIGHT)}; assert not {{'torch', 'torchdata'}} & {{*sys.modules}}"
    )
    assert errors_of(check) == ""


def test_the_finder_goes_when_it_has_done_its_work() -> None:
    """Nothing of it is left in Python's import system, nor in what it found."""
    names = ["torch.utils.data.datapipes.datapipe"]
    names += ["torchdata.datapipes.iter"] * TORCHDATA_HAS_PIPES
    check = (
        f"import importlib, sys, aisdatapipes.datapipes\n"
        "finders = [type(one).__module__ for one in sys.meta_path]\n"
        f"assert {not TORCHDATA_HAS_PIPES} or 'aisdatapipes.stand_ins' not in finders, finders\n"
        f"for name in {names}:\n"
        "    module = sys.modules[name]\n"
        "    loaders = {type(module.__loader__), type(module.__spec__.loader)}\n"
        "    assert not [one for one in loaders if 'aisdatapipes' in one.__module__], loaders\n"
    )
    assert errors_of(check) == ""


def test_a_pipe_goes_to_a_process_that_has_imported_nothing() -> None:
    """There it brings the functional names along."""
    pipe = pickle.dumps(IterableWrapper(["ais://b/"]).list_files_by_ais("localhost:1"))
    check = (
        "import pickle, sys; pipe = pickle.load(sys.stdin.buffer);"
        "print(type(pipe.load_files_by_ais('localhost:1')).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], input=pipe, capture_output=True, check=True
    )
    assert done.stdout == b"AISFileLoader\n"


def test_type_checkers_see_the_names_that_are_imported_when_they_are_asked_for() -> None:
    """They see `__all__`, and each name comes from where they see it."""
    tree = ast.parse(Path(aisdatapipes.__file__).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aisdatapipes")
        for alias in node.names
        if alias.name != "register_stand_ins"
    }
    assert sorted(seen) == sorted(aisdatapipes.__all__)
    for name, module in seen.items():
        assert getattr(importlib.import_module(str(module)), name) is getattr(aisdatapipes, name), (
            name
        )
    assert set(aisdatapipes.__all__) <= set(dir(aisdatapipes))
