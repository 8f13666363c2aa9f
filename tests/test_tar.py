"""Tars of every format, cut and damaged ones: what is read is what `tarfile` reads, or raises."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import struct
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes import errors
from aisdatapipes.tar import TarReader, group_samples
from support.tars import (
    SPARSE_FORMATS,
    URL,
    Trickle,
    contents,
    edited,
    expected,
    member,
    pack,
    sparse,
)

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
NAMES = ["a.jpg", "dir/b.cls", "d" * 90 + "/" + "f" * 60, "long/" * 150 + "n.png", "ä/日本.jpg"]


@given(
    st.dictionaries(st.text(min_size=1) | st.sampled_from(NAMES), st.binary(max_size=1500)),
    st.sampled_from(FORMATS),
    st.integers(1, 3000),
)
def test_it_reads_what_tarfile_reads(files: dict[str, bytes], tar_format: int, most: int) -> None:
    """For any names, contents, format and size of reads; and a reader at its end stays there."""
    try:
        archive = pack([member(*item) for item in files.items()], tar_format)
    except ValueError:  # a name that this format cannot hold
        return
    reader = TarReader(Trickle(archive, most))
    assert [file[:2] for file in reader.files()] == expected(archive)
    assert reader.next_member() is None


@given(st.sampled_from(FORMATS), st.data())
def test_a_damaged_byte_raises_no_foreign_error(tar_format: int, data: st.DataObject) -> None:
    """Whatever byte is wrong: the archive is read, or one of our errors says what is wrong."""
    archive = bytearray(pack([member(name, b"x" * 600) for name in NAMES[:3]], tar_format))
    archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(errors.BadArchiveError, errors.CutArchiveError):
        assert len(contents(bytes(archive))) == 3


@pytest.mark.parametrize("tar_format", SPARSE_FORMATS)
def test_sparse_files_have_their_holes(tar_format: str) -> None:
    """The holes are zeros, the name is the file's, and what follows is right."""
    holes = b"0123456789" + bytes(990) + b"0123456789"
    archive = sparse(tar_format)
    assert contents(archive) == expected(archive) == [("holes", holes), ("after", b"z")]


@pytest.mark.parametrize("tar_format", FORMATS)
def test_sizes_beyond_eight_gibibytes(tar_format: int) -> None:
    """Octal digits do not reach that far: base 256 and pax do."""
    size = 10 * 2**30
    info, _ = member("big.bin", size=size)
    header = {
        tarfile.USTAR_FORMAT: edited(tarfile.TarInfo("big.bin").tobuf(), {124: b"%012o" % size}),
        tarfile.GNU_FORMAT: info.tobuf(tarfile.GNU_FORMAT),
        tarfile.PAX_FORMAT: info.tobuf(tarfile.PAX_FORMAT),
    }[tar_format]
    reader = TarReader(io.BytesIO(header))
    assert reader.next_member() == ("big.bin", size, True, "")
    with pytest.raises(errors.CutArchiveError, match="its member 'big"):
        reader.read()


def test_archives_without_magic() -> None:
    """Unix tars of before 1988 have neither magic nor kind."""
    archive = pack([member("old.jpg", b"image")])
    archive = edited(archive[:512], {156: b"\0", 257: bytes(255)}) + archive[512:]
    assert contents(archive) == expected(archive) == [("old.jpg", b"image")]


def test_global_pax_headers() -> None:
    """What ``git archive`` writes at the beginning changes nothing."""
    info = tarfile.TarInfo()
    archive = info.create_pax_global_header({"comment": "cafe"}) + pack([member("a", b"1")])
    assert contents(archive) == [("a", b"1")]


def test_a_size_in_a_pax_header() -> None:
    """The size in an extension goes before that in the header."""
    archive = pack([member("a", b"12345", pax_headers={"size": "5"})], tarfile.PAX_FORMAT)
    at = archive.index(b"size=5") // 512 * 512 + 512
    archive = (
        archive[:at] + edited(archive[at : at + 512], {124: b"%011o\0" % 0}) + archive[at + 512 :]
    )
    assert contents(archive) == expected(archive) == [("a", b"12345")]


def test_times_in_place_of_a_prefix() -> None:
    """Incremental backups of GNU tar have times where others have the beginning of a name."""
    archive = pack([member("a", b"1"), member("d/"), member("b", b"2")], tarfile.GNU_FORMAT)
    times = {345: b"15300266305\0" * 2}
    blocks = [archive[at : at + 512] for at in range(0, len(archive), 512)]
    blocks[0], blocks[3] = edited(blocks[0], times), edited(blocks[3], times)
    blocks[2] = edited(blocks[2], times | {156: b"D"})
    assert contents(b"".join(blocks)) == [("a", b"1"), ("b", b"2")]


def test_directories_and_devices_are_no_files() -> None:
    """They are members without content, and are not among the files."""
    folder, pipe = member("d/", type=tarfile.DIRTYPE), member("p", type=tarfile.FIFOTYPE)
    archive = pack([folder, member("d/a", b"1"), pipe, member("d/b", b"2")])
    reader = TarReader(io.BytesIO(archive))
    assert reader.next_member() == ("d", 0, False, "")
    assert reader.read() == b""
    assert contents(archive) == [("d/a", b"1"), ("d/b", b"2")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_raise(kind: bytes) -> None:
    """A link cannot be read forward: the message names it and what it leads to."""
    archive = pack([member("a", b"1"), member("b", type=kind, linkname="a"), member("c", b"3")])
    with pytest.raises(errors.BadArchiveError, match=rf"'b' in {URL} is a link to 'a'"):
        contents(archive)
    reader = TarReader(io.BytesIO(archive))
    assert [m.link for m in iter(reader.next_member, None)] == ["", "a", ""]


def test_contents_may_be_left_unread() -> None:
    """Members are skipped over the borders of what is read at a time, and read only once."""
    archive = pack([member(f"{n}", b"%d" % n * 300_000) for n in range(9)])
    reader = TarReader(io.BytesIO(archive))
    found = [reader.read() for m in iter(reader.next_member, None) if m.name in "258"]
    assert found == [b"%d" % n * 300_000 for n in (2, 5, 8)]
    assert reader.read() == b""


@pytest.mark.parametrize("tar_format", FORMATS)
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_every_cut_raises(tar_format: int, size: int) -> None:
    """Wherever an archive is cut before its end mark ends, also between members, it raises."""
    archive = pack([member(f"ä{n}" + "/x" * 60, b"x" * size) for n in range(2)], tar_format)
    for end in range(len(archive)):
        with pytest.raises(errors.CutArchiveError, match=f"{URL} ends"):
            contents(archive[:end])
    assert contents(archive) == expected(archive)


@pytest.mark.parametrize("tar_format", SPARSE_FORMATS)
def test_every_cut_of_what_tarfile_reads_raises(tar_format: str) -> None:
    """The same where `tarfile` by itself would take the cut for the end."""
    archive = sparse(tar_format)
    for end in range(len(archive)):
        with pytest.raises(errors.CutArchiveError, match=f"{URL} ends"):
            contents(archive[:end])


def test_packed_by_gzip() -> None:
    """Gzip is seen by its magic; what is cut or damaged raises."""
    archive = pack([member(f"{n}", bytes(1000)) for n in range(50)])
    packed = gzip.compress(archive)
    assert contents(packed) == expected(archive)
    for end in range(len(packed)):
        with pytest.raises(errors.CutArchiveError):
            contents(packed[:end])
    with pytest.raises(errors.BadArchiveError, match="is damaged"):
        contents(packed[:-8] + struct.pack("<LL", 1, len(archive)))


@pytest.mark.parametrize("garbage", [b"PK\3\4" + b"zip" * 999, b"text\n" * 999, b"\xff" * 999])
def test_what_is_no_tar(garbage: bytes) -> None:
    """Another format says so, by the shard's URL."""
    with pytest.raises(errors.BadArchiveError, match=f"{URL} is no tar archive"):
        contents(garbage)


@pytest.mark.parametrize("damaged", [b"\1", b"\0" * 512])
def test_a_damaged_header_is_not_the_end(damaged: bytes) -> None:
    """A wrong checksum, and a block of zeros in the middle, raise and name the place."""
    archive = pack([member(f"{n}") for n in range(3)])
    archive = archive[:512] + damaged + archive[512 + len(damaged) :]
    with pytest.raises(errors.BadArchiveError, match=r"behind '0'"):
        contents(archive)


def test_errors_of_the_file_pass() -> None:
    """What the stream raises comes out as it is, through `tarfile` too."""

    class Broken(Trickle):
        def read(self, size: int = -1, /) -> bytes:
            if piece := super().read(size):
                return piece
            raise errors.ObjectChangedError("it was replaced")

    for archive in [pack([member("a", bytes(999))])[:900], sparse("gnu")[:900]]:
        with pytest.raises(errors.ObjectChangedError, match="it was replaced"):
            list(TarReader(Broken(archive, 100)).files())


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_names_that_are_not_utf8_raise_nothing_foreign(
    compress: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The name comes with its bytes; whatever is said of it can be written to a log."""
    odd, url = "a/\udcff1", f"{URL}\udcff"
    files = [member(f"{odd}.jpg", b"1"), member(odd), member(f"{odd}.JPG", b"2")]
    one = pack(files[:2], tarfile.GNU_FORMAT)
    with caplog.at_level(logging.INFO, logger="aisdatapipes"):
        (sample,) = group_samples(TarReader(io.BytesIO(compress(one)), url).files(), url)
    assert (sample.key, sample.files) == (odd, {"jpg": b"1"})
    said = caplog.messages
    link = member(odd, type=tarfile.SYMTYPE, linkname=odd)
    twice = pack(files, tarfile.GNU_FORMAT)
    broken = [twice, twice[:-600], twice + b"x", twice[:-1024] + b"x" * 512, pack([link])]
    for archive in broken:
        with pytest.raises((errors.BadArchiveError, errors.CutArchiveError)) as raised:
            list(group_samples(TarReader(io.BytesIO(compress(archive)), url).files(), url))
        said.append(str(raised.value))
    assert len([text for text in said if r"\udcff" in text.encode().decode()]) == 6
