"""Types: the stub of functional names; `make lint` checks `typed/script.py`, as a user would."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

from torch.utils.data import IterDataPipe

from aisdatapipes.datapipes import functional_names


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
