"""Types: what pyright and mypy make of a user's script, and the stub of functional names."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import IterDataPipe

from aisdatapipes.datapipes import functional_names

ROOT = Path(__file__).parent.parent
SCRIPT = "tests/typed/script.py"
CHECKERS = {
    "pyright": ["pyright", SCRIPT],
    # Only what it says of the script: that is how users see an installed package.
    "mypy": ["mypy", "--strict", "--follow-imports=silent", "--cache-dir", "{cache}", SCRIPT],
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_typed_script(checker: str, tmp_path: Path) -> None:
    """Items of datasets and pipes have the types that they have, and no use of them is an error."""
    command = [part.format(cache=tmp_path) for part in CHECKERS[checker]]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def stubbed() -> dict[str, list[str]]:
    """Return the functional names in the stub, each with its parameters."""
    stub = Path(functional_names.__file__).with_suffix(".pyi")
    found: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(stub.read_text())):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            arguments += [node.args.kwarg] if node.args.kwarg else []
            found[node.name] = [one.arg for one in arguments[1:]]
        elif isinstance(node, ast.Assign):
            assert isinstance(node.targets[0], ast.Name)
            assert isinstance(node.value, ast.Name)
            found[node.targets[0].id] = found[node.value.id]
    return found


def test_the_stub_has_every_functional_name() -> None:
    """Type checkers know the names that are registered, with the parameters of their pipes."""
    functions: dict[str, Any] = IterDataPipe.functions
    ours = {
        name: list(inspect.signature(make.args[0]).parameters)[1:]
        for name, make in functions.items()
        if "ais" in name.split("_") and name != "ais_list_sources"  # which no pipe comes before
    }
    assert stubbed() == ours
