"""``docs/filesystem.md`` runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecosystem.conftest import AsUser

PAGE = Path(__file__).parents[2] / "docs" / "filesystem.md"


def blocks(folder: str) -> int:
    """Run the Python of the page from top to bottom, as a reader would; return how many blocks."""
    os.chdir(folder)
    found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(found):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    names["fs"].rm("docs", recursive=True)
    return len(found)


def test_blocks(as_user: AsUser, tmp_path: Path) -> None:
    """The Python blocks run in order, in one process, which ends in good order."""
    assert as_user(blocks, str(tmp_path)) >= 12
