"""The matrix of stacks: what it finds, and what it says where something is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.matrix import Stack, find_python, floors, run


def test_a_python_that_is_not_there_is_named_and_fails(tmp_path: Path) -> None:
    """It is a row of the table, and no silence."""
    row, has_passed = run(Stack("3.99", ()), tmp_path / "no.whl", tmp_path)
    assert "no Python 3.99 here" in row
    assert not has_passed


def test_a_python_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On the path, also behind one there that does not run, as the shims of pyenv."""
    version = "3.99"
    broken = tmp_path / f"python{version}"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    whole = tmp_path / f"versions/{version}.1/bin/python3"
    whole.parent.mkdir(parents=True)
    whole.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_python(version) == str(whole)


def test_floors_are_those_of_the_wheel(tmp_path: Path) -> None:
    """Extras have their own and are left out."""
    wheel = tmp_path / "a.whl"
    metadata = (
        "Requires-Dist: aistore<3,>=2\nRequires-Dist: torch>=2.3\n"
        "Requires-Dist: tqdm>=4.60; extra == 'progress'\n\nText: >=9\n"
    )
    with ZipFile(wheel, "w") as archive:
        archive.writestr("a-1.dist-info/METADATA", metadata)
    assert floors(wheel) == ["aistore==2", "torch==2.3"]
