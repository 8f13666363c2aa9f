"""Legal tars, made up by seed: what is read is what `tarfile` reads, from any place on."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from random import Random
from typing import Literal

import pytest

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.tar import TarReader, group_samples
from support.tars import SPARSE_FORMATS, Trickle, edited, expected, sparse

Format = Literal[0, 1, 2]
FORMATS: list[Format] = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
SEEDS = range(80)
EMPTY = [tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
FILES = [tarfile.REGTYPE, tarfile.CONTTYPE]
SIZE_FIELDS: list[Callable[[int], bytes]] = [
    lambda size: b"%011o\0" % size,
    lambda size: b"%12o" % size,
    lambda size: b"%10o \0" % size,
    lambda size: (b"%o\0" % size).ljust(12, b"9"),
    lambda size: b"\x80" + size.to_bytes(11, "big"),
]
NAMES = [
    "./{n}.jpg",
    "{n}.cls",
    "train/{n}.seg.png",
    "{n}",
    "ä/{n}.jpg",
    "日本/{n}.txt",
    "\udcff{n}.jpg",
    "d" * 90 + "/" + "f" * 60 + "{n}.jpg",
    "long/" * 60 + "{n}.png",
    "a b=c\n{n}.jpg",
    "/{n}.jpg",
    "dir.v1/.hidden{n}",
]


def a_member(random: Random, number: int, tar_format: Format) -> bytes:
    """Return a member as one writer or another would write it; nothing if the format can't."""
    info = tarfile.TarInfo(random.choice(NAMES).format(n=number // 2))
    content = random.randbytes(random.choice([0, 1, 511, 512, 513, 700, 5000]))
    info.type = random.choice(FILES * 3 + EMPTY)
    info.size = len(content) if info.type in FILES else 0
    info.mtime = random.choice([0, 1_700_000_000, 1_700_000_000.25, -5])
    info.uid = random.choice([0, 8**7 - 1, 8**7 + 1])
    info.pax_headers = random.choice([{}, {"comment": "9" * 400}, {"SCHILY.xattr.user.a": "=\n "}])
    try:
        header = info.tobuf(tar_format, "utf-8", "surrogateescape")
    except ValueError:
        return b""
    if info.type not in FILES:
        return header
    size = {124: random.choice(SIZE_FIELDS)(info.size)}
    return header[:-512] + edited(header[-512:], size) + content + bytes(-len(content) % 512)


def an_archive(random: Random) -> bytes:
    """Return a tar of one format, with a padding of one tool or another."""
    tar_format = random.choice(FORMATS)
    made = (a_member(random, number, tar_format) for number in range(random.randrange(12)))
    members = list(filter(None, made))
    if members and random.randrange(2):  # as `git archive` writes it
        note = tarfile.TarInfo.create_pax_global_header({"comment": "cafe" * random.randrange(200)})
        members.insert(random.randrange(len(members)), note)
    if random.randrange(3) == 0:
        holes = sparse(random.choice(SPARSE_FORMATS))[:-1024]
        members.insert(random.randrange(len(members) + 1), holes)
    return b"".join(members) + bytes(512 * random.choice([2, 3, 17, 200]))


def read(archive: bytes, random: Random) -> list[tuple[str, bytes, int | None]]:
    """Return the files as our reader reads them, some bytes at a time."""
    return list(TarReader(Trickle(archive, random.choice([7, 600, 10**6]))).files())


@pytest.mark.parametrize("seed", SEEDS)
def test_legal_tars_are_read_in_full(seed: int) -> None:
    """Names and contents are those of `tarfile`, in order, over the borders of archives too."""
    random = Random(seed)
    archives = [an_archive(random) for _ in range(random.randint(1, 3))]
    files = [file for archive in archives for file in expected(archive)]
    assert [file[:2] for file in read(b"".join(archives), random)] == files
    compressed = b"".join(map(gzip.compress, archives))
    assert read(compressed, random) == [(*file, None) for file in files]


@pytest.mark.parametrize("seed", SEEDS)
def test_reading_from_behind_any_file_gives_the_rest(seed: int) -> None:
    """The offset behind a file is where reading continues with the next one, in any archive."""
    random = Random(seed)
    archive = b"".join(an_archive(random) for _ in range(random.randint(1, 3)))
    files = read(archive, random)
    for number, (_, _, following) in enumerate(files, 1):
        assert following is not None
        rest = TarReader(io.BytesIO(archive[following:]), begin=following).files()
        assert list(rest) == files[number:]


def test_global_headers_that_name_members_count_up_to_the_end_mark() -> None:
    """Such members cannot be read from behind another one; in the next archive they can again."""
    note = tarfile.TarInfo.create_pax_global_header({"path": "all.jpg"})
    one, end = tarfile.TarInfo("a.jpg").tobuf(), bytes(1024)
    files = list(TarReader(io.BytesIO(note + one + one + end + one + end)).files())
    assert files == [("all.jpg", b"", None), ("all.jpg", b"", None), ("a.jpg", b"", 3584)]


def test_an_archive_of_a_global_header_only() -> None:
    """So ``git archive`` writes an empty commit."""
    note = tarfile.TarInfo.create_pax_global_header({"comment": "cafe"})
    assert read(note + bytes(1024), Random(0)) == []


def test_a_name_with_a_dot_in_front_has_a_key_of_its_own() -> None:
    """``./1.jpg`` and ``1.cls`` are two samples, as in WebDataset; a key may come back."""
    archive = b"".join(
        tarfile.TarInfo(name).tobuf() for name in ("./1.jpg", "1.cls", "./1.txt", "./1.json")
    )
    samples = group_samples(TarReader(io.BytesIO(archive + bytes(1024))).files())
    found = [(sample.key, set(sample.files)) for sample in samples]
    assert found == [("./1", {"jpg"}), ("1", {"cls"}), ("./1", {"txt", "json"})]


def test_sums_of_signed_bytes() -> None:
    """Some old tars have summed up a header's bytes as signed ones."""
    header = bytearray(tarfile.TarInfo("ä.jpg").tobuf(tarfile.GNU_FORMAT))
    header[148:156] = b" " * 8
    total = sum(byte - 256 * (byte > 127) for byte in header)
    header[148:156] = b"%06o\0 " % total
    archive = bytes(header) + bytes(1024)
    assert read(archive, Random(0)) == [("ä.jpg", b"", 512)]


def test_a_long_name_that_is_gone_is_not_cut_to_that_in_the_header() -> None:
    """A block of zeros in place of it: the name in the header has a hundred bytes of it."""
    archive = tarfile.TarInfo("d" * 120 + ".jpg").tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    damaged = archive[:512] + bytes(512) + archive[1024:]
    assert len(list(TarReader(io.BytesIO(archive)).files())) == 1
    with pytest.raises(BadArchiveError, match="a long name that is empty"):
        list(TarReader(io.BytesIO(damaged)).files())


@pytest.mark.parametrize("length", [90, 120])
def test_a_long_name_needs_no_zero_at_its_end(length: int) -> None:
    """Some programs write none; then it ends where the zeros behind it begin."""
    header = edited(
        tarfile.TarInfo("d" * 600).tobuf(tarfile.GNU_FORMAT)[:512], {124: b"%011o" % length}
    )
    long_name = header + b"d" * length + bytes(512 - length)
    archive = long_name + tarfile.TarInfo("cut").tobuf() + bytes(1024)
    assert [name for name, _, _ in TarReader(io.BytesIO(archive)).files()] == ["d" * length]
