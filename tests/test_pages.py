"""The pages of ``docs`` run, and what they list is all that there is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisdatapipes import errors
from test_docs import ROOT, documented_cluster, environment, forks  # noqa: F401 - fixtures
from test_layers import ROWS

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
RUN_ELSEWHERE = {"filesystem.md", "ray.md"}
"""In tests/ecosystem, with the libraries that they are about."""
TO_RUN = [
    page for page in PAGES if page.name not in RUN_ELSEWHERE and "```python" in page.read_text()
]
LINKED = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
REPOSITORY = "https://github.com/aisdatapipes/aisdatapipes/blob/main/"


def name_of(page: Path) -> str:
    """Return what a page is called in the list of tests."""
    return page.relative_to(ROOT).as_posix()


@pytest.mark.usefixtures("environment", "forks")
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("page", TO_RUN, ids=name_of)
def test_blocks(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a page runs from top to bottom, as a script of a reader would."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text[: found.start(1)].count("\n")
        exec(compile("\n" * line + found[1], name_of(page), "exec"), names)


def anchors_of(page: Path) -> set[str]:
    """Return what links may have behind ``#``, as GitHub and the site make it of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {re.sub(r"[ -]+", "-", heading.strip()) for heading in plain}


def dead(page: Path) -> Iterator[str]:
    """Yield the links of a page to files or headings of the repository that are not there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.removeprefix(REPOSITORY).partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        folder = ROOT if link.startswith(REPOSITORY) else page.parent
        target = (folder / path).resolve() if path else page
        is_there = target.exists() and (not anchor or anchor in anchors_of(target))
        yield from () if is_there else (link,)


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the repository names a file that is there, and a heading of it."""
    assert list(dead(page)) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """The check above tells a missing file or heading from one that is there."""
    page = tmp_path / "page.md"
    page.write_text("# One `name`\n[a](#one-name) [b](#two) [c](gone.md) [d](page.md)\n")
    assert list(dead(page)) == ["#two", "gone.md"]


def test_every_page_can_be_found() -> None:
    """The navigation of the site names each page once."""
    named = re.findall(
        r"^ +- (?:[^:\n]+: )?(\S+\.md)$", ROOT.joinpath("mkdocs.yml").read_text(), re.MULTILINE
    )
    assert len(named) == len(set(named))
    assert {page.relative_to(DOCS).as_posix() for page in PAGES} <= set(named)


def test_every_error_has_its_line_in_the_handbook() -> None:
    """``errors.md`` has what each error means, in the words of its class, and what to do."""
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCS.joinpath("errors.md").read_text(), re.MULTILINE)
    )
    kinds = {
        name: getattr(errors, name)
        for name in errors.__all__
        if isinstance(getattr(errors, name), type) and name != "AISPipeError"
    }
    assert rows.keys() == kinds.keys()
    for name, kind in kinds.items():
        meaning, _, to_do = rows[name].partition(" | ")
        assert meaning.replace("`", "") == str(kind.__doc__).partition("\n")[0].replace("`", "")
        assert len(to_do) > 10, name


@pytest.mark.parametrize(
    "module", ["", ".nodes", ".testing", ".filesystem"], ids=lambda name: f"aisdatapipes{name}"
)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """Each is there with its docstring, or named as another one's older name."""
    reference = "\n".join(page.read_text() for page in DOCS.joinpath("reference").glob("*.md"))
    there = set(re.findall(r"^::: aisdatapipes[\w.]*?(\w+)$", reference, re.MULTILINE))
    there |= set(re.findall(r"`(\w+)`", reference))
    assert set(importlib.import_module(f"aisdatapipes{module}").__all__) <= there


def test_the_picture_of_the_rooms_is_the_import_table() -> None:
    """``architecture.md`` draws the rows that test_layers.py holds, from top to bottom."""
    text = DOCS.joinpath("architecture.md").read_text()
    picture = re.search(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert picture
    drawn = [set(line.partition("#")[0].split()) for line in picture[1].splitlines()]
    assert drawn == [row for row in ROWS if row != {"__main__"}]
