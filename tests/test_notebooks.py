"""The notebooks run from top to bottom, and their stored outputs are those of such a run."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

NEED_ETL = {"05_etl"}
"""What needs a cluster on Kubernetes, at ``$AIS_ENDPOINT``; the others start one of their own."""

Notebooks = tuple[nbformat.NotebookNode, nbformat.NotebookNode]


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the outputs of all cells, in their order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts_of(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what the outputs of each cell say as text; an image says nothing of use."""
    return ["".join(map(_text_of, cell.get("outputs", []))) for cell in notebook.cells]


def _text_of(output: nbformat.NotebookNode) -> str:
    # One cell's prints are one output or several, as time has it; so only what they say counts.
    if "image/png" in output.get("data", {}):
        return ""
    return output.get("text") or output["data"]["text/plain"]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebooks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Notebooks:
    """One notebook as it is stored, and as it comes out of a run in an empty folder."""
    stored = nbformat.read(request.param, as_version=4)
    executed = nbformat.read(request.param, as_version=4)
    folder = str(tmp_path_factory.mktemp(request.param.stem))
    with pytest.MonkeyPatch.context() as patch:
        if request.param.stem in NEED_ETL:
            patch.setenv("AIS_ENDPOINT", request.getfixturevalue("etl_cluster").endpoint)
        NotebookClient(executed, timeout=120, resources={"metadata": {"path": folder}}).execute()
    return stored, executed


def test_there_are_notebooks() -> None:
    """The tests below have something to run."""
    clouds = {"04_cloud_backends", "06_sdk_getting_started"}
    expected = {"01_list_and_load", "02_random_access", "03_datasets", *clouds, *NEED_ETL}
    assert expected <= {path.stem for path in NOTEBOOKS}


def test_run_ends_without_errors_and_warnings(notebooks: Notebooks) -> None:
    """No cell raises, and none writes to stderr."""
    _, executed = notebooks
    assert [output for output in outputs_of(executed) if output.output_type == "error"] == []
    assert [output for output in outputs_of(executed) if output.get("name") == "stderr"] == []


def test_stored_outputs_are_those_of_a_run(notebooks: Notebooks) -> None:
    """What the reader sees on the repository's page is what the code gives."""
    stored, executed = notebooks
    assert texts_of(stored) == texts_of(executed)


def test_stored_outputs_show_lists_and_images() -> None:
    """In the first one, a list of five URLs and an image are there without running anything."""
    stored = nbformat.read(FOLDER / "01_list_and_load.ipynb", as_version=4)
    assert any(len(re.findall(r"'ais://[^']+'", text)) == 5 for text in texts_of(stored))
    assert any("image/png" in output.get("data", {}) for output in outputs_of(stored))
