"""The pipe of the files in tars: what it yields is what torchdata's own pipe yields."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tarfile
from collections.abc import Callable

import pytest
from aistore.sdk import Bucket
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data.datapipes.utils.common import StreamWrapper

from aisdatapipes import AISFileLoader, AISTarLoader, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.datapipes.registration import TORCHDATA_HAS_PIPES
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import SPARSE_FORMATS, member, pack, sparse

URL = "ais://imagenet/dir/0.tar"
KINDS = [tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE]
NAMES = st.text(min_size=1, max_size=20) | st.sampled_from(["./a", "b/../c", "d" * 300, "e//f"])
MEMBERS = st.lists(st.tuples(NAMES, st.sampled_from(KINDS + LINKS), st.binary(max_size=900)))
Found = list[tuple[str, bytes]]


def found(archive: bytes, mode: str = "r:*") -> Found:
    """Return what our pipe yields."""
    source = [(URL, StreamWrapper(io.BytesIO(archive)))]
    return [(path, stream.read()) for path, stream in AISTarLoader(source, mode)]


def by_tarfile(archive: bytes) -> Found:
    """Return what torchdata's pipe yields: itself where it is, else what `tarfile` finds."""
    if TORCHDATA_HAS_PIPES:
        source = [(URL, StreamWrapper(io.BytesIO(archive)))]
        pipe = IterableWrapper(source, deepcopy=False).load_from_tar()
        return [(path, stream.read()) for path, stream in pipe]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [(info.name, tar.extractfile(info)) for info in tar if info.isfile()]
        return [
            (os.path.normpath(os.path.join(URL, name)), file.read())  # noqa: PTH118 - of a URL
            for name, file in files
            if file
        ]


def packed(members: list[tuple[str, bytes, bytes]], tar_format: int) -> bytes:
    """Return a tar of names, kinds and contents; what is no file has none."""
    return pack(
        [
            member(name, content if holds(name, kind) else b"", type=kind, linkname="to")
            for name, kind, content in members
        ],
        tar_format,
    )


def holds(name: str, kind: bytes) -> bool:
    """Whether it is a file; of the oldest kind, one whose name ends in a slash is a folder."""
    return kind in KINDS[:3] and not (kind == tarfile.AREGTYPE and name.endswith("/"))


@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.booleans())
def test_it_yields_what_torchdata_yields(
    members: list[tuple[str, bytes, bytes]], tar_format: int, is_compressed: bool
) -> None:
    """The same paths with the same contents in the same order, for any tar."""
    archive = packed(members, tar_format)
    archive = gzip.compress(archive, 1) if is_compressed else archive
    assert found(archive) == by_tarfile(archive)


@pytest.mark.parametrize("tar_format", SPARSE_FORMATS)
def test_files_with_holes(tar_format: str) -> None:
    """They are files like others."""
    assert found(sparse(tar_format)) == by_tarfile(sparse(tar_format))


def test_members_can_be_read_in_any_order(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """A member can be read after those behind it, also of a shard that is streamed."""
    names = [f"{number:03d}" for number in range(50)]
    put_object(ais_bucket, "0.tar", pack([member(name, name.encode() * 300) for name in names]))
    settings = Settings(whole_object_bytes=1000, read_ahead_bytes=1000)
    files = AISFileLoader([f"ais://{ais_bucket.name}/0.tar"], ais_cluster.endpoint)
    streamed = AISFileLoader(
        [f"ais://{ais_bucket.name}/0.tar"], ais_cluster.endpoint, settings=settings
    )
    for loader in (files, streamed):
        streams = list(AISTarLoader(loader))[::-1]
        assert [stream.read()[:3].decode() for _, stream in streams] == names[::-1]
        shuffled = AISTarLoader(loader).shuffle()
        assert {stream.read()[:3].decode() for _, stream in shuffled} == set(names)


@pytest.mark.parametrize("end", [lambda pipe: list(pipe), lambda pipe: next(iter(pipe))])
def test_archives_are_closed(end: Callable[[AISTarLoader], object]) -> None:
    """At their ends, and where an iteration is given up."""
    file = io.BytesIO(pack([member("a"), member("b")]))
    end(AISTarLoader([(URL, StreamWrapper(file))]))
    assert file.closed


def test_a_cut_archive_is_an_error() -> None:
    """What comes before is yielded, and then the error names the archive."""
    archive = pack([member("a", b"1" * 600), member("b", b"2" * 600)])[:-1500]
    pipe = iter(AISTarLoader([(URL, StreamWrapper(io.BytesIO(archive)))]))
    assert next(pipe)[1].read() == b"1" * 600
    with pytest.raises(errors.CutArchiveError, match=URL):
        next(pipe)


def test_other_compressions_are_refused() -> None:
    """By the mode at once, and else where the archive comes."""
    with pytest.raises(ValueError, match="mode is 'r:bz2'"):
        AISTarLoader([], "r:bz2")
    with pytest.raises(errors.BadArchiveError, match="compressed by bzip2"):
        found(bz2.compress(pack([member("a")])))


def test_length() -> None:
    """It has the length that it is given, as torchdata's."""
    assert len(AISTarLoader([], length=7)) == 7
    with pytest.raises(TypeError, match="length="):
        len(AISTarLoader([]))
