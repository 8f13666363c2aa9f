"""The import table of the package: who may use whom, and which libraries where."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import aisdatapipes

PACKAGE = Path(aisdatapipes.__file__).parent

# Imports point down. Within the core and the leaves, a room may use its neighbour if that
# makes no circle; front ends never use each other.
ROWS = [
    {"__main__"},
    {"cli", "compat"},
    {"demo", "throughput"},
    {"testing"},
    {"nodes", "packing"},  # over datasets, as torchdata's nodes are over anything; over files
    {"datapipes", "datasets", "samplers", "filesystem", "ray"},
    {"indexes"},  # over manifests, of shards
    {"shards", "manifests", "checkpoint"},
    {"reading", "writing", "listing", "tar", "distributed"},
    {"client"},
    {"metrics", "processes", "types", "urls", "etl", "errors", "keywords", "stand_ins"},
]
NEIGHBOURS_MAY_MEET = [*ROWS[-4:-2], ROWS[-1]]

# A library, to the only rooms that may import it.
ROOMS_OF = {
    "torch": ROWS[5] | {"checkpoint", "distributed", "demo", "throughput"},
    "torchdata": {"datapipes", "demo", "nodes"},
    "fsspec": {"cli", "filesystem", "packing"},
    "ray": {"ray"},
    "pyarrow": {"ray"},
    "aistore": {
        *{"client", "compat", "errors", "listing", "reading", "types", "testing", "demo"},
        *{"indexes", "writing"},
    },
    "requests": {"client", "errors", "listing", "reading", "writing"},
    "msgspec": {"client", "listing"},
    "urllib3": {"client", "reading"},
    "tenacity": {"client"},
    "xxhash": {"indexes", "reading"},
    "webdataset": {"shards"},
    "typing_extensions": ROWS[4] | ROWS[5],
    "filelock": {"testing"},
    "tqdm": {"metrics", "demo"},
    "PIL": {"demo"},
    "sklearn": {"demo"},
}


def row_of(room: str) -> int:
    """Return the number of the row that `room` stands in, counted from the top."""
    return next(number for number, row in enumerate(ROWS) if room in row)


def imports_of(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            is_root = node.module == "aisdatapipes"
            yield from (f"{node.module}.{a.name}" for a in node.names) if is_root else [node.module]


def rooms() -> dict[str, list[Path]]:
    """Return the package's rooms with their files: a module, or a folder of modules."""
    found: dict[str, list[Path]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            found.setdefault(room, []).append(path)
    return found


def edges() -> set[tuple[str, str]]:
    """Return every (room, other room that it imports)."""
    return {
        (room, parts[1])
        for room, paths in rooms().items()
        for path in paths
        for name in imports_of(path)
        if (parts := name.split("."))[0] == "aisdatapipes" and len(parts) > 1 and parts[1] != room
    }


def libraries() -> set[tuple[str, str]]:
    """Return every (room, top-level library that it imports), the standard library left out."""
    return {
        (room, top)
        for room, paths in rooms().items()
        for path in paths
        for name in imports_of(path)
        if (top := name.split(".")[0]) not in sys.stdlib_module_names and top != "aisdatapipes"
    }


def test_every_room_has_a_row() -> None:
    """A new module has to be placed before anything may import it."""
    assert rooms().keys() <= set().union(*ROWS)


@pytest.mark.parametrize(("room", "used"), sorted(edges()))
def test_imports_point_down(room: str, used: str) -> None:
    """No room imports one above it, and no front end another."""
    neighbours = any({room, used} <= row for row in NEIGHBOURS_MAY_MEET)
    assert row_of(used) > row_of(room) or neighbours


def module_edges() -> set[tuple[str, str]]:
    """Return every (module, other module of the package that it imports), as dotted names."""
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    return {
        (module, used)
        for module in modules
        for name in imports_of(PACKAGE.parent / f"{module.replace('.', '/')}.py")
        for used in (name, name.rpartition(".")[0])
        if used in modules
    }


@pytest.mark.parametrize("found", [edges, module_edges])
def test_imports_make_no_circle(found: Callable[[], set[tuple[str, str]]]) -> None:
    """Rooms that use each other stand in one order, and so do the modules inside of them."""
    graph: dict[str, set[str]] = {}
    for importer, used in found():
        graph.setdefault(importer, set()).add(used)
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(("room", "library"), sorted(libraries()))
def test_libraries_stay_in_their_rooms(room: str, library: str) -> None:
    """torch, the SDK and every other library is imported where the table says, only."""
    assert room in ROOMS_OF[library]


def test_errors_takes_no_more_than_classes_from_the_sdk() -> None:
    """The leaf of errors imports the SDK's error module and nothing else of it."""
    from_sdk = {name for name in imports_of(PACKAGE / "errors.py") if name.startswith("aistore")}
    assert from_sdk == {"aistore.sdk.errors"}
