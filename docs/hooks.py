"""What the site has from outside of this folder, so that the pages read well in both places.

Links in the pages are those of the repository: ``../notebooks/x.ipynb``, ``../CHANGELOG.md``. On
the site, what is a page there leads to the page, and anything else to the repository's address.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
STAGED = ROOT / "build" / "notebooks"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/chart.svg": "assets/chart.svg",
    **{
        f"notebooks/{path.name}": f"tutorials/{path.name}"
        for path in ROOT.glob("notebooks/*.ipynb")
    },
}
"""Files of the repository, to where they are on the site."""

_LINK = re.compile(r"(\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not written yet."""
    config["nav"] = _existing(config["nav"])
    return config


@event_priority(100)  # before the plugin that renders notebooks looks for them
def on_files(files: Files, config: Any) -> Files:
    """Add the files of `PAGES`."""
    for source, page in PAGES.items():
        files.append(
            _notebook(page, ROOT / source, config)
            if source.endswith(".ipynb")
            else File.generated(config, page, abs_src_path=str(ROOT / source))
        )
    return files


def _notebook(page: str, source: Path, config: Any) -> File:
    """Copy it to where its name on the site is that in a folder: the plugin takes no others."""
    copy = STAGED / page
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, copy)
    return File(page, str(STAGED), config["site_dir"], config["use_directory_urls"])


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Lead links out of ``docs`` to where the site has what they mean."""
    own = page.file.src_uri
    source = next((source for source, on_site in PAGES.items() if on_site == own), f"docs/{own}")
    if own.endswith(".ipynb"):
        return markdown

    def on_site(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if target.startswith("docs/"):
            target = posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(own) or ".")
        elif target in PAGES:
            target = posixpath.relpath(PAGES[target], posixpath.dirname(own) or ".")
        else:
            target = f"{config['repo_url']}/blob/main/{target}"
        return f"{link[1]}{target}{link[3]}"

    return _LINK.sub(on_site, markdown)


def _existing(nav: list[Any]) -> list[Any]:
    kept = []
    for entry in nav:
        for title, page in entry.items() if isinstance(entry, dict) else [(None, entry)]:
            if isinstance(page, list):
                kept.append({title: _existing(page)})
            elif page in PAGES.values() or ROOT.joinpath("docs", page).exists():
                kept.append({title: page} if title else page)
    return kept
