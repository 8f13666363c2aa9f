"""Archives: random and damaged tars, read as `tarfile` and webdataset read them, or refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
import zlib
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from webdataset.tariterators import group_by_keys, tar_file_iterator

from aisdatapipes.errors import BadArchiveError, CutArchiveError
from aisdatapipes.tar import TarReader, group_samples
from fuzz.hunting import soon
from support.tars import Trickle, edited, member, pack
from test_tar_formats import an_archive

__all__ = ["damaged_tars_are_read_or_refused", "samples_are_those_of_webdataset"]

_Files = list[tuple[str, bytes]]
_REFUSED = (BadArchiveError, CutArchiveError)
_BLOCK = tarfile.BLOCKSIZE
# What `tarfile` takes for the beginning of the name, and GNU tar has the times of the file in.
_GNU, _NOT_A_PREFIX = b"ustar  \0", range(345, 500)

_WHERE = st.floats(0, 1, exclude_max=True)
_DAMAGES = st.lists(
    st.tuples(st.just("byte"), _WHERE, st.integers(0, 255))
    | st.tuples(st.just("header"), _WHERE, st.integers(0, _BLOCK - 1), st.integers(0, 255))
    | st.tuples(st.just("cut"), _WHERE)
    | st.tuples(st.just("insert"), _WHERE, st.sampled_from([b"\0", b"x", b"ustar", b"7"]))
    | st.tuples(st.just("remove"), _WHERE, st.integers(1, 600))
    | st.tuples(st.just("zeros"), _WHERE)
    | st.tuples(st.just("double"), _WHERE, st.integers(1, 6))
    | st.tuples(st.just("swap"), _WHERE, _WHERE),
    max_size=3,
)


@given(st.integers(0, 10**9), _DAMAGES, st.sampled_from([7, 600, 10**6]), st.booleans())
def damaged_tars_are_read_or_refused(
    number: int, damages: list[tuple[Any, ...]], most: int, is_compressed: bool
) -> None:
    """What is read in full is what `tarfile` reads; before an error come the same files."""
    archive = damaged(an_archive(Random(number)), damages)
    packed = gzip.compress(archive) if is_compressed else archive
    with soon():
        files, is_refused = read(packed, most)
    _check(files, is_refused, archive)


@given(st.integers(0, 10**9), _DAMAGES, st.sampled_from([7, 600, 10**6]))
def damaged_gzips_are_read_or_refused(
    number: int, damages: list[tuple[Any, ...]], most: int
) -> None:
    """What Python's gzip refuses is refused, at its end at the latest; all else is read as it is.

    A damage within may show before: what a stream of gzip holds is checked where it ends.
    """
    archive = an_archive(Random(number))
    packed = damaged(gzip.compress(archive, mtime=0), damages)
    with soon():
        files, is_refused = read(packed, most)
    try:
        whole = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        # What does not begin so is a plain tar, or none.
        assert is_refused or packed[:2] != b"\x1f\x8b"
    else:
        _check(files, is_refused, whole)


_NAMES = st.lists(
    st.sampled_from(
        ["a", "b", "A", ".", "..", "/", "./", "dir/", "jpg", "CLS", "__", "ä", " ", "~"]
    ),
    min_size=1,
    max_size=6,
).map("".join)


@given(st.lists(_NAMES, max_size=8), st.sampled_from([0, 1, 2]))
def samples_are_those_of_webdataset(names: list[str], tar_format: int) -> None:
    """Keys, extensions and contents; but for names that webdataset takes for what they are not."""
    archive = pack([member(name, b"%d" % number) for number, name in enumerate(names)], tar_format)
    try:
        expected: Any = list(_webdataset(archive))
    except ValueError:
        expected = "refused"
    try:
        samples = list(group_samples(TarReader(io.BytesIO(archive)).files()))
    except BadArchiveError:
        assert expected == "refused"
        return
    assert [(sample.key, sample.files) for sample in samples] == expected


def _webdataset(archive: bytes) -> list[tuple[str, dict[str, bytes]]]:
    found = tar_file_iterator(io.BytesIO(archive))  # pyright: ignore[reportArgumentType]
    # Hidden files, and those whose names end in a dot: see `group_samples`.
    files = ({**one, "__url__": ""} for one in found if not _is_odd(one["fname"]))
    return [
        (
            one["__key__"],
            {key: data for key, data in one.items() if key not in ("__key__", "__url__")},
        )
        for one in group_by_keys(files)
    ]


def _is_odd(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith(".") or re.fullmatch(r"[^.]*\.", base) is not None


def _check(files: _Files, is_refused: bool, archive: bytes) -> None:
    expected, is_sure = model(archive)
    shared = min(len(files), len(expected))
    assert files[:shared] == expected[:shared]
    assert is_refused or not is_sure or files == expected


def read(archive: bytes, most: int) -> tuple[_Files, bool]:
    """Return the files as our reader reads them, and whether it has refused the rest."""
    files: _Files = []
    try:
        for name, content, _ in TarReader(Trickle(archive, most), "ais://b/0.tar").files():
            files.append((name, content))
    except _REFUSED as error:
        assert "ais://b/0.tar" in str(error)  # noqa: PT017
        return files, True
    return files, False


def model(archive: bytes) -> tuple[_Files, bool]:
    """Return the files as `tarfile` reads them, also those of archives that follow.

    And whether that is all there is: it takes what it cannot read for the end.
    """
    files: _Files = []
    at = 0
    with contextlib.suppress(tarfile.TarError, ValueError, OverflowError, OSError):
        while at < len(archive):
            file = io.BytesIO(archive[at:])
            with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
                for info in tar:
                    if info.isreg() and (content := tar.extractfile(info)):
                        files.append((info.name, content.read()))
                end = at + tar.offset
            rest = archive[end:]
            if rest[: 2 * _BLOCK].strip(b"\0") or len(rest) < 2 * _BLOCK:
                return files, False
            zeros = len(rest) - len(rest.lstrip(b"\0"))
            at = end + zeros // _BLOCK * _BLOCK if zeros < len(rest) else len(archive)
        return files, True
    return files, False


def damaged(archive: bytes, damages: list[tuple[Any, ...]]) -> bytes:
    """Return an archive with some damages, one after the other."""
    for kind, *how in damages:
        archive = _damaged(archive, kind, *how)
    return archive


def _is_time(archive: bytes, block: int, offset: int) -> bool:
    return archive.startswith(_GNU, block + 257) and offset in _NOT_A_PREFIX


def _damaged(archive: bytes, kind: str, where: float, *how: Any) -> bytes:
    at = int(where * len(archive))
    block = at // _BLOCK * _BLOCK
    if kind == "byte":
        return archive[:at] + bytes(how[0] for _ in archive[at : at + 1]) + archive[at + 1 :]
    if kind == "header" and len(archive) >= block + _BLOCK and not _is_time(archive, block, how[0]):
        changed = edited(archive[block : block + _BLOCK], {how[0]: bytes([how[1]])})
        return archive[:block] + changed + archive[block + _BLOCK :]
    if kind == "cut":
        return archive[:at]
    if kind == "insert":
        return archive[:at] + how[0] * (1 + at % 700) + archive[at:]
    if kind == "remove":
        return archive[:at] + archive[at + how[0] :]
    if kind == "zeros":
        return archive[:block] + bytes(_BLOCK) + archive[block + _BLOCK :]
    if kind == "double":
        return archive[: block + how[0] * _BLOCK] + archive[block:]
    if kind == "swap":
        other = int(how[0] * len(archive)) // _BLOCK * _BLOCK
        first, second = sorted([block, other])
        one, two = archive[first : first + _BLOCK], archive[second : second + _BLOCK]
        if first + _BLOCK <= second and len(two) == _BLOCK:
            middle = archive[first + _BLOCK : second]
            return archive[:first] + two + middle + one + archive[second + _BLOCK :]
    return archive
