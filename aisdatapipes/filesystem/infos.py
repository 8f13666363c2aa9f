"""Infos: what is told of files and folders, and the trees that they make."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from aisdatapipes.listing.folders import Folder

__all__ = ["Info", "add_info", "entry_info", "folder_info", "walk_infos"]

Info = dict[str, Any]
"""``name``, the path; ``size`` in bytes; ``type``, which is ``file`` or ``directory``; and more."""


def entry_info(folder: Folder, name: str, size: int) -> Info:
    """Return what a listing tells of an object, or of a folder, whose name ends in a slash."""
    path = f"{folder.url.bucket_url.partition('://')[2]}/{name}"
    if path.endswith("/"):
        return folder_info(path[:-1])
    return {"name": path, "size": size, "type": "file"}


def folder_info(path: str) -> Info:
    """Return what there is to tell of a folder or bucket."""
    return {"name": path, "size": 0, "type": "directory"}


def walk_infos(
    below: dict[str, dict[str, Info]], path: str, *, topdown: bool, detail: bool
) -> Generator[tuple[str, Any, Any], None, None]:
    """Yield the folders of a tree, as `os.walk` does.

    Args:
        below: What is right in each folder, by its path and then by name.
        path: Where to begin.
        topdown: A folder before those in it.
        detail: Yield dictionaries and not lists.
    """
    entries = below.get(path, {})
    folders = {name: info for name, info in entries.items() if info["type"] == "directory"}
    files: Any = {name: info for name, info in entries.items() if info["type"] == "file"}
    names: Any = folders if detail else list(folders)
    files = files if detail else list(files)
    if topdown:
        yield path, names, files
    for name in list(names):
        folder = f"{path}/{name}" if path else name
        if folder in below:  # else it is as deep as is wanted
            yield from walk_infos(below, folder, topdown=topdown, detail=detail)
    if not topdown:
        yield path, names, files


def add_info(
    found: dict[str, Info], info: Info, top: str, maxdepth: int | None, *, withdirs: bool
) -> None:
    """Add an object, and the folders that it is in, as far as they are not too deep."""
    start = len(top) + 1 if top else 0
    parts = info["name"][start:].split("/")
    if maxdepth is None or len(parts) <= maxdepth:
        found[info["name"]] = info
    if withdirs:
        for depth in range(1, min(len(parts), (maxdepth or len(parts)) + 1)):
            folder = info["name"][:start] + "/".join(parts[:depth])
            found.setdefault(folder, folder_info(folder))
