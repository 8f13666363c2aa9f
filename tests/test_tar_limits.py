"""Archives made to fill the memory or to keep a worker busy: they raise, soon and in little."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from aisdatapipes import Settings, errors
from aisdatapipes.tar import TarReader
from support.tars import URL, contents, edited, member, pack, sparse

SIZE = 3 * 2**30


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Fail if more than a few of the announced megabytes are held at a time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25


def extended(content: bytes, kind: bytes = b"x") -> bytes:
    """Return a tar of one file with an extended header of this content."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = kind, len(content)
    return header.tobuf() + content + bytes(-len(content) % 512) + pack([member("1.jpg")])


def sparse_bomb(tar_format: str) -> bytes:
    """Return a small tar of a file of `SIZE` bytes, nearly all of them holes."""
    archive = sparse(tar_format)
    if tar_format == "gnu":
        return edited(archive[:512], {483: b"%011o\0" % SIZE}) + archive[512:]
    records, at = archive[512:1024], archive.index(b"size=1010\n")
    line = archive.rindex(b" ", 0, at)
    old = archive[line - 2 : at + 10]
    text = old[2:].replace(b"1010", b"%d" % SIZE)
    new = b"%d" % (len(text) + 2) + text
    records = records.replace(old, new).rstrip(b"\0")
    header = edited(archive[:512], {124: b"%011o\0" % len(records)})
    return header + records.ljust(512, b"\0") + archive[1024:]


@pytest.mark.parametrize("tar_format", ["gnu", "pax 0.0", "pax 0.1", "pax 1.0"])
@pytest.mark.usefixtures("_little_memory")
def test_a_sparse_file_of_gigabytes(tar_format: str) -> None:
    """3 KB that would be 3 GB: the message names shard, member, size, limit and setting."""
    archive = sparse_bomb(tar_format)
    said = rf"'holes' in {URL}, .* sparse, .*3,221,225,472 bytes, .* 1,073,741,824 .*max_member_by"
    with pytest.raises(errors.BadArchiveError, match=said):
        contents(archive)
    reader = TarReader(io.BytesIO(archive), URL)
    assert [m.name for m in iter(reader.next_member, None)] == ["holes", "after"]


@pytest.mark.usefixtures("_little_memory")
def test_a_gzip_that_expands_to_gigabytes() -> None:
    """Files before it come; then it is the size in the header that counts, before any byte."""
    coder = zlib.compressobj(wbits=31)
    header = edited(tarfile.TarInfo("1.jpg").tobuf(), {124: b"%011o\0" % SIZE})
    packed = coder.compress(pack([member("0.jpg", b"0")])[:1024] + header)
    packed += coder.compress(bytes(2**24)) + coder.flush()
    files = TarReader(io.BytesIO(packed), URL).files()
    assert next(files)[:2] == ("0.jpg", b"0")
    with pytest.raises(errors.BadArchiveError, match=rf"'1.jpg' in {URL}, .*compressed, has 3,2"):
        next(files)


def test_the_limit_is_a_setting() -> None:
    """What is as big as allowed is read; a byte more raises. Plain files have no limit."""
    archive = pack([member("1.jpg", b"x" * 1000)])
    for data in (gzip.compress(archive), sparse("gnu")):
        size = len(next(TarReader(io.BytesIO(data)).files())[1])
        files = TarReader(io.BytesIO(data), URL, max_member_bytes=size).files()
        assert len(next(files)[1]) == size
        with pytest.raises(errors.BadArchiveError, match=f"more than the {size - 1:,}"):
            next(TarReader(io.BytesIO(data), URL, max_member_bytes=size - 1).files())
    assert len(next(TarReader(io.BytesIO(archive), max_member_bytes=1).files())[1]) == 1000
    assert Settings().max_member_bytes == 2**30
    with pytest.raises(ValueError, match="max_member_bytes is 0"):
        Settings(max_member_bytes=0)


@pytest.mark.parametrize("kind", [b"x", b"g", b"X"])
@pytest.mark.parametrize(
    "content",
    [
        b"9" * 1_000_000,
        b"1000013 path=" + b"9" * 999_999 + b"\n",
        b"1000016 comment=" + b"9" * 999_999 + b"\n",
        b"1000013 size=" + b"9" * 999_999 + b"\n",
        b"1000023 GNU.sparse.map=" + b"9" * 999_999 + b"\n",
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=9\n" * 10_000,
        b"6 a=b\n" * 170_000,
    ],
)
def test_digits_take_no_time(content: bytes, kind: bytes) -> None:
    """A pax header of up to 1 MiB, whatever is in it, is read or refused at once."""
    begun = time.perf_counter()
    with contextlib.suppress(errors.BadArchiveError):  # some of them are legal
        contents(extended(content, kind))
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("kind", [b"x", b"g", b"X", b"L", b"K"])
@pytest.mark.usefixtures("_little_memory")
def test_headers_have_a_limit(kind: bytes) -> None:
    """An extended header of gigabytes raises before any of it is read."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, SIZE
    with pytest.raises(errors.BadArchiveError, match=rf"{URL} .* 3,221,225,472 .* 1,048,576 "):
        contents(header.tobuf() + bytes(2**20))


@pytest.mark.usefixtures("_little_memory")
def test_maps_of_holes_have_a_limit() -> None:
    """The blocks of GNU tar's old format could go on for ever."""
    header = edited(sparse("gnu")[:512], {482: b"\1"})
    with pytest.raises(errors.BadArchiveError, match="map of holes has more than 1,048,576"):
        contents(header + (bytes(504) + b"\1".ljust(8, b"\0")) * 3000)


@pytest.mark.parametrize(
    "chunks", [(0, 10, 5, 10), (1005, 10, 0, 10), (0, 10, 1005, 10), (0, 10, 1000, 11)]
)
def test_maps_of_holes_that_make_no_sense(chunks: tuple[int, ...]) -> None:
    """Runs that overlap, go back, or reach beyond file or content raise, and end."""
    fields = b"".join(b"%011o\0" % number for number in chunks)
    header = edited(sparse("gnu")[:512], {386: fields})
    with pytest.raises(errors.BadArchiveError, match="'holes'"):
        contents(header + sparse("gnu")[512:])


@pytest.mark.parametrize("tar_format", ["pax 0.0", "pax 0.1", "pax 1.0"])
def test_an_extension_that_lost_a_part_of_the_map(tar_format: str) -> None:
    """Whichever of its records is not to be known any more, the file does not come as stored."""
    archive = sparse(tar_format)
    whole = contents(archive)
    for at in re.finditer(rb"GNU\.sparse\.(?!name|numblocks)", archive[512:1024]):
        damaged = archive[: 512 + at.start()] + b"X" + archive[513 + at.start() :]
        with pytest.raises(errors.BadArchiveError, match=f"{URL} .*damaged"):
            contents(damaged)
    assert len(whole[0][1]) == 1010


@pytest.mark.parametrize("tar_format", ["pax 0.0", "pax 0.1", "pax 1.0"])
def test_holes_of_all_files_make_no_sense(tar_format: str) -> None:
    """A global header cannot say where files have holes: the file would come as it is stored."""
    archive = sparse(tar_format)
    with pytest.raises(errors.BadArchiveError, match="a global header that says where a file has"):
        contents(edited(archive[:512], {156: b"g"}) + archive[512:])
