"""Transactions: files that become objects together, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from aistore.sdk import Bucket
from fsspec.spec import AbstractFileSystem

from aisdatapipes import errors
from aisdatapipes.filesystem.transaction import AISTransaction
from aisdatapipes.filesystem.writable_file import WritableFile
from support.writing import content_of, request_of, uploads_in

BLOCK = 1000
SIZES = {"a": 1, "b": 3 * BLOCK, "c": 0}


class _FileSystem(AbstractFileSystem):
    """Only opens files to be written, in a bucket."""

    cachable = False
    transaction_type = AISTransaction

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def _open(self, path: str, mode: str = "rb", *_: Any, **options: Any) -> Any:
        request = request_of(self._bucket, path)
        must_be_new = mode == "xb"
        autocommit = options["autocommit"]
        return WritableFile(
            request, block_size=BLOCK, autocommit=autocommit, must_be_new=must_be_new, path=path
        )


@pytest.fixture
def fs(ais_bucket: Bucket) -> Any:
    """A filesystem of the bucket."""
    return _FileSystem(ais_bucket)


def write(fs: Any, mode: str = "wb") -> None:
    """Write a file of each of `SIZES`."""
    for name, size in SIZES.items():
        with fs.open(name, mode) as file:
            file.write(bytes(size))


def fail(fs: Any) -> None:
    """Write all files in a transaction that ends by a `KeyError`."""
    with fs.transaction:
        write(fs)
        fs.open("d", "wb").write(b"not closed")
        raise KeyError


def contents(bucket: Bucket) -> dict[str, bytes | None]:
    """Return what there is of `SIZES`."""
    return {name: content_of(bucket, name) for name in SIZES}


def test_files_are_there_together(fs: Any, ais_bucket: Bucket) -> None:
    """None is before the end of the block, and all are after."""
    with fs.transaction:
        write(fs)
        assert set(contents(ais_bucket).values()) == {None}
    assert contents(ais_bucket) == {name: bytes(size) for name, size in SIZES.items()}
    assert not uploads_in(ais_bucket)
    with fs.open("after", "wb") as file:
        file.write(b"x")
    assert content_of(ais_bucket, "after") == b"x"


def test_after_an_exception_there_is_none(fs: Any, ais_bucket: Bucket) -> None:
    """No file is written, closed or not, and the next transaction begins anew."""
    with pytest.raises(KeyError):
        fail(fs)
    assert not list(ais_bucket.list_objects_iter())
    assert not uploads_in(ais_bucket)
    test_files_are_there_together(fs, ais_bucket)


def test_what_cannot_be_committed_is_known_before(fs: Any, ais_bucket: Bucket) -> None:
    """Where one file may not be written, none is."""
    with fs.open("b", "wb") as file:
        file.write(b"old")
    with pytest.raises(errors.AlreadyExistsError, match="'b'"), fs.transaction:
        write(fs, "xb")
    assert contents(ais_bucket) == {"a": None, "b": b"old", "c": None}
    assert not uploads_in(ais_bucket)


def test_a_commit_that_fails_in_the_middle_names_what_is_done(fs: Any, ais_bucket: Bucket) -> None:
    """What was committed stays, the rest is discarded, and the error tells which is which."""
    with fs.open("c/x", "wb") as file:
        file.write(b"old")
    match = "'a', 'b' were committed, 'c' were not: .* it is a folder"
    with pytest.raises(errors.IncompleteWriteError, match=match), fs.transaction:
        write(fs)
    assert content_of(ais_bucket, "a") == b"\0"
    assert content_of(ais_bucket, "b") == bytes(3 * BLOCK)
    assert not uploads_in(ais_bucket)
    assert not fs._intrans


def test_texts_take_part(fs: Any, ais_bucket: Bucket) -> None:
    """A text that is written in a transaction is there at its end."""
    with fs.transaction, fs.open("a", "w") as text:
        text.write("ä")
    assert content_of(ais_bucket, "a") == "ä".encode()


def leave_open(fs: Any, mode: str, kept: list[Any]) -> None:
    """Write all files in a transaction, and one that is open at its end."""
    with fs.transaction:
        write(fs)
        kept.append(fs.open("d", mode))
        kept[0].write("content" if mode == "w" else b"content")


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_file_that_is_still_open_is_not_committed(fs: Any, ais_bucket: Bucket, mode: str) -> None:
    """Nor the others, as nobody knows whether it is whole: a text keeps some of its content."""
    kept: list[Any] = []
    with pytest.raises(errors.IncompleteWriteError, match="'d' is open"):
        leave_open(fs, mode, kept)
    assert not list(ais_bucket.list_objects_iter())
    assert not uploads_in(ais_bucket)
    assert kept[0].closed
