"""What is written of Ray runs: the page in ``docs``, docstrings, and types."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.examples import ARGUMENTS, EXAMPLES
from test_docs import documented_cluster  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ray.md"
MODULES = ["ray", "ray.cutting", "ray.reading"]

runs = pytest.mark.usefixtures("ray_cluster", "environment")
ray_warns = pytest.mark.filterwarnings("default")


@pytest.fixture
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point ``$AIS_ENDPOINT`` at the cluster that the examples are about."""
    monkeypatch.setenv("AIS_ENDPOINT", request.getfixturevalue("documented_cluster").endpoint)


@runs
@ray_warns
@pytest.mark.timeout(400)  # Ray Train starts
def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Its blocks run from top to bottom and print what it says."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    names: dict[str, object] = {"__name__": "ray_page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    shown = [
        "5",
        "[{'url': 'ais://caltech256/002.american-flag/002_0001.jpg', 'bytes': b'",
        "[{'__key__': '0001', '__url__': 'ais://coco/train-000000.tar', 'jpg': b'",
    ]
    for beginning in shown:
        assert f"# {beginning}" in "\n".join(blocks)
        assert any(line.startswith(beginning) for line in printed), printed


@runs
@ray_warns
@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    """Every example in a docstring gives what it says."""
    module = importlib.import_module(f"aisdatapipes.{name}")
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 0
    assert results.failed == 0


def test_links_of_the_page() -> None:
    """Relative ones lead to files."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not PAGE.parent.joinpath(link).exists()] == []


def test_every_example_is_run() -> None:
    """By ``make examples``."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


def test_types() -> None:
    """Pyright, which leaves it out elsewhere, has nothing to say of what imports Ray."""
    checker = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(
        [*checker, "-p", str(Path(__file__).parent)], capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] > 10
