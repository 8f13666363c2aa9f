"""Copies: which file goes where, which of them are there already, and all others at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os.path import commonprefix
from pathlib import Path
from typing import Any

from aisdatapipes.cli.places import Place, is_url, local_sources, remote_place, remote_sources
from aisdatapipes.cli.progress import Progress
from aisdatapipes.errors import (
    AlreadyExistsError,
    InvalidURLError,
    IsFolderError,
    NoObjectsError,
    ObjectNotFoundError,
)
from aisdatapipes.filesystem.transfers import at_a_time, walk_files
from aisdatapipes.reading.checksums import file_has_checksum
from aisdatapipes.writing.changes import copy_object

__all__ = ["Copy", "copy_all", "create_bucket", "plan_copies", "without_same"]

_FEW = 64  # are asked for one by one, more of them are listed with all that is beside them

End = Place | Path
_Stored = tuple[int, str]  # size and checksum, which is empty where the cluster keeps none


@dataclass(frozen=True)
class Copy:
    """A file that goes somewhere.

    Attributes:
        source: Where it is.
        target: Where it goes.
        size: Its bytes.
        checksum: Of the source, as the cluster has it; empty if it is not known.
    """

    source: End
    target: End
    size: int
    checksum: str = ""


@dataclass(frozen=True)
class _Found:
    """A file among the sources: its name below the target, and what is known of it."""

    source: End
    name: str
    size: int
    checksum: str = ""


def plan_copies(
    sources: Sequence[str], target: str, endpoint: str | None, *, recursive: bool
) -> list[Copy]:
    """Return what goes where; nothing is written.

    Args:
        sources: Files, folders and patterns, all on this machine or all in buckets.
        target: Where to.
        endpoint: Address of the cluster.
        recursive: Take what is in folders.

    Raises:
        FileNotFoundError: There is no such source.
        IsADirectoryError: One is a folder, and they should not be taken.
        InvalidURLError: There can be no object of a name, or two have the same target.
    """
    ends: list[End] = []
    for one in sources:
        ends += remote_sources([one], endpoint) if is_url(one) else local_sources([one])
    are_folders = [_is_folder(end) for end in ends]
    if not recursive and True in are_folders:
        raise IsFolderError(f"{ends[are_folders.index(True)]} is a folder: cp -r takes all in it")
    goal: End = remote_place(target, endpoint) if is_url(target) else Path(target)
    is_single = len(ends) == 1
    if is_single and not are_folders[0] and not _is_or_names_folder(goal, target):
        found = _file(ends[0])
        return _checked([Copy(found.source, goal, found.size, found.checksum)])
    files = [
        file
        for end, is_folder in zip(ends, are_folders, strict=True)
        for file in (_files_in(end, keeps_name=not is_single) if is_folder else [_file(end)])
    ]
    if not files:
        raise NoObjectsError(f"no files in {' '.join(map(str, sources))}")
    return _checked([Copy(one.source, _under(goal, one), one.size, one.checksum) for one in files])


def create_bucket(target: str, endpoint: str | None, *, is_dry: bool = False) -> bool:
    """Make the bucket of a target, if there is none, and return whether there was none.

    Args:
        target: URL.
        endpoint: Address of the cluster.
        is_dry: Only look.
    """
    place = remote_place(target, endpoint)
    bucket = place.path.partition("/")[0]
    if place.fs.exists(bucket):
        return False
    if not is_dry:
        with suppress(AlreadyExistsError):  # somebody else was faster
            place.fs.mkdir(bucket)
    return True


def without_same(copies: Sequence[Copy], jobs: int) -> list[Copy]:
    """Leave out what is at its target already, with the same size and checksum."""
    if not copies:
        return []
    stored = _stored_targets(copies, jobs)

    def is_same(copy: Copy) -> bool:
        size, checksum = stored.get(_path_of(copy.target), (-1, ""))
        if size != copy.size:
            return False
        if isinstance(copy.source, Path):
            return file_has_checksum(copy.source, checksum)
        if isinstance(copy.target, Path):
            return file_has_checksum(copy.target, copy.checksum)
        return bool(checksum) and checksum == copy.checksum

    same = at_a_time(is_same, copies, jobs)
    return [copy for copy, is_there in zip(copies, same, strict=True) if not is_there]


def copy_all(copies: Sequence[Copy], jobs: int) -> None:
    """Copy all, some at a time, with a line on the terminal that tells how far it is.

    Raises:
        AISPipeError: One could not be copied; those that had not begun are not.
        OSError: Likewise, for a reason of this machine's.
    """
    if not copies:
        return
    sources, targets = ([_path_of(end) for end in ends] for ends in _columns(copies))
    first = copies[0]
    with Progress(sum(copy.size for copy in copies)) as progress:
        if isinstance(first.source, Path) and isinstance(first.target, Place):
            first.target.fs.with_concurrency(jobs).put(sources, targets, callback=progress)
        elif isinstance(first.source, Place) and isinstance(first.target, Path):
            first.source.fs.with_concurrency(jobs).get(sources, targets, callback=progress)
        else:
            progress.set_size(len(copies))
            at_a_time(partial(_copy_within, progress), copies, jobs)


def _copy_within(progress: Progress, copy: Copy) -> None:
    source: Any = copy.source
    target: Any = copy.target
    if (source.scheme, source.path) != (target.scheme, target.path):
        copy_object(source.fs.request_for(source.path), target.fs.request_to_write(target.path))
    progress.add(copy.size)
    progress.relative_update(1)


def _columns(copies: Sequence[Copy]) -> tuple[list[End], list[End]]:
    return [copy.source for copy in copies], [copy.target for copy in copies]


def _path_of(end: End) -> str:
    return end.path if isinstance(end, Place) else str(end)


def _is_folder(end: End) -> bool:
    return end.kind == "directory" if isinstance(end, Place) else end.is_dir()


def _is_or_names_folder(goal: End, target: str) -> bool:
    """Whether a single file goes into the target, and not to it."""
    if isinstance(goal, Place):
        return goal.is_folder or goal.fs.isdir(goal.path)
    return target.endswith("/") or goal.is_dir()


def _file(end: End) -> _Found:
    if isinstance(end, Place):
        info = end.fs.info(end.path)
        return _Found(end, end.path.rpartition("/")[2], info["size"], info["checksum"] or "")
    return _Found(end, end.name, end.stat().st_size)


def _files_in(folder: End, *, keeps_name: bool) -> Iterator[_Found]:
    above = Path(_path_of(folder)).name if keeps_name else ""
    if isinstance(folder, Path):
        for path in walk_files(folder):
            name = Path(above, path.relative_to(folder)).as_posix()
            yield _Found(path, name, path.stat().st_size)
        return
    for path, (size, checksum) in _stored_in(folder).items():
        name = f"{above}/{path[len(folder.path) + 1 :]}".lstrip("/")
        yield _Found(folder.at(path), name, size, checksum)


def _under(goal: End, file: _Found) -> End:
    if isinstance(goal, Place):
        return goal.at(f"{goal.path}/{file.name}")
    if {"", ".", ".."} & {*file.name.split("/")}:
        # Those of a cloud may have them: nothing is written elsewhere than in the target.
        raise InvalidURLError(f"{file.source} can be no file below {goal}: get it by its own name")
    return goal / file.name


def _checked(copies: list[Copy]) -> list[Copy]:
    """Check that each can be written, and no two to the same place."""
    source_of: dict[str, End] = {}
    for copy in copies:
        path = _path_of(copy.target)
        if isinstance(copy.target, Place):
            copy.target.fs.request_to_write(path)
        other = source_of.setdefault(path, copy.source)
        if other is not copy.source:
            raise InvalidURLError(f"{other} and {copy.source} would both go to {copy.target}")
    return copies


def _stored_targets(copies: Sequence[Copy], jobs: int) -> dict[str, _Stored]:
    first = copies[0].target
    if isinstance(first, Path):
        paths = [Path(_path_of(copy.target)) for copy in copies]
        return {str(path): (path.stat().st_size, "") for path in paths if path.is_file()}
    if len(copies) > _FEW:
        paths = [_path_of(copy.target) for copy in copies]
        return _stored_in(first.at(commonprefix(paths).rpartition("/")[0]))  # noqa: RUF071 - letters

    def ask(copy: Copy) -> _Stored:
        try:
            info = first.fs.info(_path_of(copy.target))
        except ObjectNotFoundError:
            return -1, ""
        return info["size"] if info["type"] == "file" else -1, info.get("checksum") or ""

    first.fs.folder_at(first.path.partition("/")[0]).is_there()  # or there is no bucket
    answers = zip(copies, at_a_time(ask, copies, jobs), strict=True)
    return {_path_of(copy.target): stored for copy, stored in answers}


def _stored_in(folder: Place) -> dict[str, _Stored]:
    bucket = folder.path.partition("/")[0]
    entries = folder.fs.folder_at(folder.path).checksums()
    return {f"{bucket}/{name}": (size, checksum) for name, size, checksum in entries}
