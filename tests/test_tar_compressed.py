"""Compressed tars: gzip is read as far as it is whole, other formats are called by their name."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from random import Random

import pytest

from aisdatapipes import errors
from aisdatapipes.tar import TarReader
from support.tars import URL, Trickle, contents, expected, member, pack

# What the command lines zstd and lz4 make of nothing.
EMPTY_ZSTD = base64.b64decode("KLUv/SQAAQAAmenYUQ==")
EMPTY_LZ4 = base64.b64decode("BCJNGGRApwAAAAAFXcwC")


def zipped(archive: bytes) -> bytes:
    """Return a zip of an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("0.tar", archive)
    return file.getvalue()


def whole_before(archive: bytes, cut: int) -> list[tuple[str, bytes]]:
    """Return the files of a tar whose content ends before a byte."""
    whole: list[tuple[str, bytes]] = []
    for name, content, following in TarReader(io.BytesIO(archive)).files():
        assert following is not None
        if following - -len(content) % 512 <= cut:
            whole.append((name, content))
    return whole


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("zip", zipped),
        ("zstd", lambda archive: EMPTY_ZSTD + archive),
        ("lz4", lambda archive: EMPTY_LZ4 + archive),
    ],
)
@pytest.mark.parametrize("count", [0, 40])
def test_other_formats_are_named(name: str, compress: Callable[[bytes], bytes], count: int) -> None:
    """Small and big ones alike; the message says what to do."""
    files = [member(f"{n}", Random(n).randbytes(999)) for n in range(count)]
    said = f"{URL} is no tar archive: it is compressed by {name}, .* repack it as a plain tar"
    with pytest.raises(errors.BadArchiveError, match=said):
        contents(compress(pack(files)))


@pytest.mark.parametrize("name", ["BZh91AY&SY.jpg", "PK\3\4", "\udcfd7zXZ"])
def test_names_may_begin_as_other_formats_do(name: str) -> None:
    """A sound header of a tar is one, whatever its name begins with."""
    archive = pack([member(name, b"1")])
    assert contents(archive) == [(name, b"1")]


@pytest.mark.parametrize("most", [1, 100, 10**6])
def test_a_cut_gzip_gives_the_files_before_the_cut(most: int) -> None:
    """All that can be decompressed is read before the error, however the bytes come in."""
    files = [member(f"{n}", Random(n).randbytes(100) * 3) for n in range(40)]
    archive = pack(files)
    packed = gzip.compress(archive)
    for cut in range(20, len(packed), 97):
        there = zlib.decompressobj(wbits=31).decompress(packed[:cut])
        found: list[tuple[str, bytes]] = []
        with pytest.raises(errors.CutArchiveError, match=f"{URL} ends"):
            found.extend(file[:2] for file in TarReader(Trickle(packed[:cut], most), URL).files())
        assert found == whole_before(archive, len(there))


def test_gzip_streams_one_after_another() -> None:
    """One tar may be in several streams, with zeros between them; other bytes raise."""
    archive = pack([member(f"{n}", bytes(1000)) for n in range(50)])
    packed = b"".join(gzip.compress(archive[at : at + 7000]) for at in range(0, len(archive), 7000))
    assert contents(packed + bytes(3000)) == expected(archive)
    with pytest.raises(errors.BadArchiveError, match=f"{URL} is damaged, up to its byte"):
        contents(packed + bytes(3000) + b"garbage")
