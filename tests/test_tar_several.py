"""Several tars in one file: reading goes on behind an end mark, and says what is no tar there."""

from __future__ import annotations

import gzip
import io
import time
import tracemalloc

import pytest

from aisdatapipes import errors
from aisdatapipes.tar import TarReader
from support.tars import URL, Trickle, contents, expected, member, pack, shard, sparse

FIRST, SECOND = shard(0, 3), shard(3, 3)


@pytest.mark.parametrize("padding", [0, 512, 10_240 - 512, 2**18 - 512, 3 * 2**18])
@pytest.mark.parametrize("most", [1, 700, 10**6])
def test_the_members_of_all_tars_come(padding: int, most: int) -> None:
    """With any zeros between two tars, and however the bytes come in."""
    archive = FIRST + bytes(padding) + SECOND
    reader = TarReader(Trickle(archive, most if padding < 2**18 else 10**6), URL)
    assert [file[:2] for file in reader.files()] == expected(FIRST) + expected(SECOND)
    assert reader.next_member() is None
    assert contents(gzip.compress(archive)) == expected(FIRST) + expected(SECOND)


def test_a_sparse_file_does_not_end_the_reading() -> None:
    """Also where the first tar has an unusual member, and where there are many empty tars."""
    archive = sparse("gnu") + bytes(1024) * 2000 + sparse("pax 1.0") + FIRST
    assert contents(archive) == expected(sparse("gnu")) * 2 + expected(FIRST)


def test_many_tars_without_members() -> None:
    """Each of a thousand has a header that is no member's; none costs a level of calls."""
    note = b"".join(pack([member("d/", type=b"5")])[:512] + bytes(1024) for _ in range(3000))
    assert contents(note + FIRST) == expected(FIRST)


@pytest.mark.parametrize(
    ("garbage", "block"),
    [(b"x", 0), (b"signature" * 100, 0), (bytes(700) + b"x", 512), (b"\1" + FIRST, 0)],
)
def test_what_is_no_tar_behind_an_end_mark_raises(garbage: bytes, block: int) -> None:
    """All members come before; the message says where in the shard what is wrong begins."""
    files = TarReader(io.BytesIO(FIRST + garbage), URL).files()
    assert [next(files)[:2] for _ in range(6)] == expected(FIRST)
    at = len(FIRST) + block
    with pytest.raises(errors.BadArchiveError, match=f"{URL} has an end mark .* its byte {at} "):
        next(files)


def test_every_cut_within_the_second_tar_raises() -> None:
    """What is cut anywhere behind the first member byte of the second tar is no whole shard."""
    archive = FIRST + SECOND
    for end in range(len(FIRST) + 1, len(archive)):
        with pytest.raises((errors.CutArchiveError, errors.BadArchiveError), match=URL):
            contents(archive[:end])


def test_much_padding_is_cheap() -> None:
    """Some 500 MB of zeros take less than their decompression does, and no memory."""
    compressed = gzip.compress(FIRST) + gzip.compress(bytes(2**24)) * 30
    begun, _ = time.perf_counter(), tracemalloc.start()
    assert contents(compressed) == expected(FIRST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23
    assert time.perf_counter() - begun < 10
