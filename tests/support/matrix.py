"""The stacks that people have: a part of the suite in each, from the wheel, in a fresh environment.

Run as a script, it prints a table for ``docs/compatibility.md``, and fails if a stack fails or its
Python is not there. The environments are made one after the other, as a torch has some gigabytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from aisdatapipes.testing.binary import aistore_version

ROOT = Path(__file__).parents[2]

# Quick, and about what differs between stacks: torch, torchdata, fsspec, Python's byte code, the
# SDK's own dependencies. fsspec's own suites are not: its older releases have fewer of them.
TESTS = [
    "test_dataloader",
    "test_datapipes",
    "test_datasets_iter",
    "test_datasets_map",
    "test_filesystem_changes",
    "test_filesystem_instances",
    "test_filesystem_law",
    "test_filesystem_reading",
    "test_filesystem_tree",
    "test_layers",
    "test_nodes",
    "test_quiet_exit",
    "test_registration",
    "test_resume",
    "test_samples",
    "test_shard_reader",
    "test_stack",
    "test_tar",
    "test_tar_loader",
    "test_transaction",
    "test_writable_file",
]
# What the tests need beside what the wheel brings along.
TOOLS = [
    "aiohttp",
    "cloudpickle",
    "filelock",
    "flask",
    "hypothesis",
    "moto[server]",
    "pillow",
    "pytest",
    "pytest-timeout",
    "tqdm",
    "trustme",
]
_VERSIONS = """
import importlib.metadata, json, platform
names = ["torch", "torchdata", "aistore"]
print(json.dumps([platform.python_version(), *map(importlib.metadata.version, names)]))
"""


@dataclass(frozen=True)
class Stack:
    """A Python, and what is installed with the wheel.

    Attributes:
        python: Its version, as ``3.12``.
        pins: Requirements beside the wheel's own.
        is_lowest: Whether everything else is the lowest that the wheel allows.
    """

    python: str
    pins: tuple[str, ...]
    is_lowest: bool = False


STACKS = [
    Stack("3.10", ("torchdata<0.10",), is_lowest=True),
    Stack("3.12", ("torchdata<0.10",)),
    Stack("3.13", ("torchdata>=0.11",)),
]


def find_python(version: str) -> str | None:
    """Return the path of a Python of that version, on the path or of pyenv; else None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    found = [*([on_path] if on_path else []), *pyenv.glob(f"versions/{version}.*/bin/python3")]
    return next((str(path) for path in found if _is_python(path)), None)


def floors(wheel: Path) -> list[str]:
    """Return the lowest version of everything that a wheel requires, as requirements."""
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    required = re.findall(
        r"^Requires-Dist: ([\w-]+)[^;\n]*>=([\d.]+)[^;\n]*$", metadata, re.MULTILINE
    )
    return [f"{package}=={version}" for package, version in required]


def run(stack: Stack, wheel: Path, folder: Path) -> tuple[str, bool]:
    """Test one stack in an empty folder; return its row of the table and whether it passed."""
    python = find_python(stack.python)
    if python is None:
        return f"| {stack.python} | | | | | **no Python {stack.python} here** |", False
    own = str(folder / "venv/bin/python")
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    lowest = floors(wheel) if stack.is_lowest else []
    subprocess.run([python, "-m", "venv", "--upgrade-deps", folder / "venv"], check=True)
    subprocess.run([*pip, str(wheel), *stack.pins, *lowest, *TOOLS], check=True)
    shutil.copytree(ROOT / "tests", folder / "tests")
    for name in ("pyproject.toml", "README.md"):  # pytest's settings, and what test_docs imports
        shutil.copy(ROOT / name, folder)
    began = time.monotonic()
    tests = [f"tests/{name}.py" for name in TESTS]
    done = subprocess.run(
        [own, "-m", "pytest", "-q", "--hypothesis-profile=ci", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "tests")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stdout.write(done.stdout)
    versions = json.loads(subprocess.check_output([own, "-c", _VERSIONS], cwd=folder))
    counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", done.stdout.splitlines()[-1])
    result = f"{', '.join(counts)} in {time.monotonic() - began:.0f} s"
    cells = [*versions, aistore_version(), result]
    return f"| {' | '.join(cells)} |", done.returncode == 0


def rows(stacks: list[Stack]) -> Iterator[tuple[str, bool]]:
    """Build the wheel, and yield the row of each stack and whether it passed."""
    with tempfile.TemporaryDirectory(prefix="matrix-") as name:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", name, str(ROOT)], check=True)
        (wheel,) = Path(name).glob("*.whl")
        for stack in stacks:
            with tempfile.TemporaryDirectory(prefix="stack-", dir=name) as folder:
                yield run(stack, wheel, Path(folder))


def main(chosen: list[str]) -> int:
    """Print the table of all stacks, or of those whose Python is named."""
    sys.stdout.write("| Python | torch | torchdata | AIStore SDK | AIStore cluster | result |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    stacks = [stack for stack in STACKS if not chosen or stack.python in chosen]
    have_passed = True
    for row, has_passed in rows(stacks):
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        have_passed &= has_passed
    return 0 if have_passed else 1


def _is_python(path: str | Path) -> bool:
    """Whether it runs: a shim of pyenv is there also for versions that are not in use."""
    return subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
