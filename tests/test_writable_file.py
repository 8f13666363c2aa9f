"""Files that are written: there when they are closed in good order, and never half."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import random
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import fsspec
import pytest
from aistore.sdk import Bucket
from fsspec.core import OpenFile

from aisdatapipes import errors
from aisdatapipes.client import connection
from aisdatapipes.filesystem.parts import part_bytes
from aisdatapipes.filesystem.writable_file import WritableFile, WritableText
from conftest import PutObject
from support.processes import becomes
from support.writing import content_of, request_of, uploads_in

BLOCK = 10_000
OLD = b"the old one"
SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK - 1]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with one object, ``a``, that holds `OLD`."""
    put_object(ais_bucket, "a", OLD)
    return ais_bucket


def open_file(bucket: Bucket, name: str = "a", **options: Any) -> WritableFile:
    """Open an object to be written."""
    return WritableFile(request_of(bucket, name), **{"block_size": BLOCK, **options})


def assert_unchanged(bucket: Bucket) -> None:
    """The old object is there, and no upload is."""
    assert content_of(bucket, "a") == OLD
    assert not uploads_in(bucket)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_there_when_it_is_closed(bucket: Bucket, size: int) -> None:
    """Nothing is to be seen before, and all of it after, however it comes."""
    data = random.Random(size).randbytes(size)
    random_size = random.Random(1)
    file = open_file(bucket)
    rest = data
    while rest:
        piece, rest = rest[:5000], rest[(step := random_size.randrange(1, 5000)) :]
        file.write(random_size.choice([bytes, bytearray, memoryview])(piece[:step]))
    assert file.tell() == size
    assert content_of(bucket, "a") == OLD
    file.close()
    assert content_of(bucket, "a") == data
    assert not uploads_in(bucket)


@pytest.mark.parametrize("size", SIZES)
def test_one_big_write_is_the_same(bucket: Bucket, size: int) -> None:
    """Bytes that may change afterwards are as good as bytes that cannot."""
    data = random.Random(size).randbytes(size)
    for kind in (bytes, bytearray):
        source = kind(data)
        with open_file(bucket, "b", content=b"begin") as file:
            assert file.write(source) == size
            if isinstance(source, bytearray):
                source[:] = bytes(size)
        assert content_of(bucket, "b") == b"begin" + data


def test_it_is_a_file_for_writing(bucket: Bucket) -> None:
    """It says what it can do, and refuses the rest as any file does."""
    with open_file(bucket, fs="the fs", path="a path", mode="xb") as file:
        assert (file.writable(), file.readable(), file.seekable()) == (True, False, False)
        assert (file.fs, file.path, file.mode) == ("the fs", "a path", "xb")
        assert (file.blocksize, file.autocommit) == (BLOCK, True)
        for refused in (file.read, lambda: file.seek(0), file.fileno, file.truncate):
            with pytest.raises(io.UnsupportedOperation):
                refused()
        with pytest.raises(TypeError):
            file.write("text")  # pyright: ignore[reportArgumentType]
        file.write(b"x")
        file.flush()
    for closed in (lambda: file.write(b""), file.tell, file.flush):
        with pytest.raises(ValueError, match="closed"):
            closed()
    file.close()
    assert content_of(bucket, "a") == b"x"


def leave(file: WritableFile, size: int) -> None:
    """Leave the file's own block by a `KeyError`."""
    with file:
        file.write(bytes(size))
        raise KeyError


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_an_exception_in_its_block_leaves_the_old_object(bucket: Bucket, size: int) -> None:
    """Whatever was written until then is gone, and no upload is left."""
    file = open_file(bucket)
    with pytest.raises(KeyError):
        leave(file, size)
    assert file.closed
    assert_unchanged(bucket)


class _Opener(fsspec.AbstractFileSystem):
    """A filesystem that opens this one file."""

    cachable = False

    def __init__(self, file: WritableFile) -> None:
        super().__init__()
        self._file = file

    def _open(self, *_: Any, **__: Any) -> Any:
        return self._file

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "type": "directory", "size": 0}


def leave_open_file(file: WritableFile) -> None:
    """Leave the block of fsspec's own opener, which only closes the file."""
    with OpenFile(_Opener(file), "a", mode="wb"):
        raise KeyError


def leave_open_text(file: WritableFile) -> None:
    """Leave the same for a text."""
    with OpenFile(_Opener(file), "a", mode="w") as text:
        text.write("x" * 100)
        raise KeyError


def leave_closing(file: WritableFile) -> None:
    """Leave a block that closes anything."""
    with contextlib.closing(file):
        raise KeyError


def leave_text(file: WritableFile) -> None:
    """Leave the block of a wrapper that is written in C."""
    with io.TextIOWrapper(file) as text:
        text.write("x" * 100)
        raise KeyError


def leave_our_text(file: WritableFile) -> None:
    """Leave the block of the wrapper for texts."""
    with WritableText(file) as text:
        text.write("x" * 100)
        raise KeyError


def leave_buffer(file: WritableFile) -> None:
    """Leave the block of a buffer that is written in C."""
    with io.BufferedWriter(file) as buffer:  # pyright: ignore[reportArgumentType]
        buffer.write(b"x" * 100)
        raise KeyError


def leave_generator(file: WritableFile) -> None:
    """Leave the block of a function that closes in ``finally``."""

    @contextlib.contextmanager
    def closing() -> Any:
        try:
            yield
        finally:
            file.close()

    with closing():
        raise KeyError


def leave_stack(file: WritableFile) -> None:
    """Leave the block of a stack of callbacks."""
    with contextlib.ExitStack() as stack:
        stack.callback(file.close)
        raise KeyError


class _AsyncWriter:
    """Closes a file as a library for asyncio does."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._file.close()


def leave_async(file: WritableFile) -> None:
    """Leave a block of ``async with``."""

    async def leave() -> None:
        async with _AsyncWriter(file):
            raise KeyError

    asyncio.run(leave())


def leave_async_generator(file: WritableFile) -> None:
    """Leave the block of an asynchronous function that closes in ``finally``."""

    @contextlib.asynccontextmanager
    async def closing() -> AsyncIterator[None]:
        try:
            yield
        finally:
            file.close()

    async def leave() -> None:
        async with closing():
            raise KeyError

    asyncio.run(leave())


def leave_cancelled(file: WritableFile) -> None:
    """Leave a block of ``async with`` whose end is cancelled while it waits."""

    class Waiting(_AsyncWriter):
        async def __aexit__(self, *_: object) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                self._file.close()

    async def block() -> None:
        async with Waiting(file):
            raise KeyError

    async def leave() -> None:
        task = asyncio.create_task(block())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        raise KeyError

    asyncio.run(leave())


LEAVING = [
    leave_open_file,
    leave_open_text,
    leave_closing,
    leave_text,
    leave_our_text,
    leave_buffer,
    leave_generator,
    leave_stack,
    leave_async,
    leave_async_generator,
    leave_cancelled,
]


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_others_that_close_it_after_an_exception_commit_nothing(
    bucket: Bucket, leave: Callable[[WritableFile], None], size: int
) -> None:
    """A ``with`` block that ends by an exception leaves nothing, whoever closes the file."""
    file = open_file(bucket)
    file.write(bytes(size))
    with pytest.raises(KeyError):
        leave(file)
    file.close()
    assert_unchanged(bucket)


def test_a_good_end_of_an_asynchronous_block_commits(bucket: Bucket) -> None:
    """Also inside a block that is left by an exception."""

    async def write() -> None:
        async with _AsyncWriter(file := open_file(bucket)):
            file.write(b"new")

    async def write_in_handler() -> None:
        try:
            {}["missing"]
        except KeyError:
            await write()

    for act in (write, write_in_handler):
        asyncio.run(act())
        assert content_of(bucket, "a") == b"new"
        bucket.object("a").delete()


def test_closing_on_purpose_after_an_exception_commits(bucket: Bucket) -> None:
    """Who handles the exception, and closes, has the object."""
    file = open_file(bucket)
    file.write(b"half")
    try:
        {}["missing"]
    except KeyError:
        file.close()
    assert content_of(bucket, "a") == b"half"


def test_a_block_within_a_handler_commits(bucket: Bucket) -> None:
    """An exception that is being handled elsewhere is none of the file."""
    before = open_file(bucket, "b")
    try:
        {}["missing"]
    except KeyError:
        with open_file(bucket) as file:
            file.write(b"new")
        with contextlib.closing(before):
            before.write(b"new")
    assert content_of(bucket, "a") == content_of(bucket, "b") == b"new"


class _Reporter:
    """Writes a report when its block is left, as tools do that log what has failed."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        file = open_file(self._bucket)
        file.write(b"it failed")
        file.close()


def test_a_file_that_is_opened_after_the_exception_is_written(bucket: Bucket) -> None:
    """Also where that is while a block is being left because of it."""
    with pytest.raises(KeyError), _Reporter(bucket):
        raise KeyError
    assert content_of(bucket, "a") == b"it failed"


def drop(file: WritableFile) -> None:
    """Drop the file itself."""
    file.write(b"")


def drop_text(file: WritableFile) -> None:
    """Drop a wrapper of it that is not closed."""
    io.TextIOWrapper(file).write("x")


def drop_our_text(file: WritableFile) -> None:
    """Drop the wrapper for texts."""
    WritableText(file).write("x")


def drop_buffer(file: WritableFile) -> None:
    """Drop a buffer over it."""
    io.BufferedWriter(file).write(b"x")  # pyright: ignore[reportArgumentType]


def drop_in_circle(file: WritableFile) -> None:
    """Drop it with what refers to it."""
    file.circle = file  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
@pytest.mark.parametrize("drop", [drop, drop_text, drop_our_text, drop_buffer, drop_in_circle])
def test_a_dropped_file_leaves_nothing(
    bucket: Bucket,
    drop: Callable[[WritableFile], None],
    size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is not committed by the garbage collector, and the log says so."""
    file = open_file(bucket)
    file.write(bytes(size))
    drop(file)
    del file
    gc.collect()
    assert becomes(lambda: not uploads_in(bucket))
    assert_unchanged(bucket)
    assert "dropped without being closed" in caplog.text


def test_a_file_is_dropped_where_a_request_would_wait(bucket: Bucket) -> None:
    """The collector runs in any thread, also in one that holds a lock of the client."""

    def collect() -> None:
        file = open_file(bucket)
        file.write(bytes(3 * BLOCK))
        drop_in_circle(file)
        with connection._making.get():
            del file
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert becomes(lambda: not uploads_in(bucket))
    assert_unchanged(bucket)


def test_texts_are_written(bucket: Bucket) -> None:
    """A block that ends well has its text, and one that is discarded has none."""
    with WritableText(open_file(bucket), encoding="utf-8") as text:
        text.write("ä" * BLOCK)
    assert content_of(bucket, "a") == ("ä" * BLOCK).encode()


@pytest.mark.parametrize("size", [0, 1, 3 * BLOCK])
def test_without_autocommit_it_waits_for_commit(bucket: Bucket, size: int) -> None:
    """To close it sends it; only to commit makes it the object, and to discard leaves the old."""
    for end, expected in [("discard", OLD), ("commit", bytes(size))]:
        with open_file(bucket, autocommit=False) as file:
            file.write(bytes(size))
        assert content_of(bucket, "a") == OLD
        getattr(file, end)()
        getattr(file, end)()
        assert content_of(bucket, "a") == expected
        assert not uploads_in(bucket)
    file.discard()
    assert content_of(bucket, "a") == bytes(size)


def test_a_file_that_waits_and_is_dropped_leaves_nothing(bucket: Bucket) -> None:
    """What was sent and not committed is removed with it."""
    with open_file(bucket, autocommit=False) as file:
        file.write(bytes(3 * BLOCK))
    assert uploads_in(bucket) == ["a"]
    del file
    gc.collect()
    assert_unchanged(bucket)


def test_discarded_is_not_committed(bucket: Bucket) -> None:
    """After `discard` there is nothing to commit, and that is an error."""
    file = open_file(bucket, autocommit=False)
    file.write(b"x")
    file.discard()
    assert file.closed
    with pytest.raises(ValueError, match="was discarded"):
        file.commit()
    assert_unchanged(bucket)


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_a_new_one_replaces_nothing(bucket: Bucket, size: int) -> None:
    """Where there is an object, the one that must be new is refused."""
    file = open_file(bucket, must_be_new=True)
    file.write(bytes(size))
    with pytest.raises(errors.AlreadyExistsError, match=r"'a' in ais://.* is there already"):
        file.close()
    assert file.closed
    assert_unchanged(bucket)
    with open_file(bucket, "new", must_be_new=True) as file:
        file.write(bytes(size))
    assert content_of(bucket, "new") == bytes(size)


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_a_missing_bucket_is_not_created(bucket: Bucket, size: int) -> None:
    """It is an error, which names the bucket."""
    gone = Bucket("nowhere", bucket.client)
    file = open_file(gone)
    with pytest.raises(errors.BucketNotFoundError, match="ais://nowhere"), file:
        file.write(bytes(size))
    assert content_of(gone, "a") is None


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_folders_and_objects_do_not_mix(bucket: Bucket, put_object: PutObject, size: int) -> None:
    """An object in the place of a folder, or under an object, is refused by a name for it."""
    put_object(bucket, "folder/x", b"x")
    for name, error in [("folder", errors.IsFolderError), ("a/x", errors.NotAFolderError)]:
        with pytest.raises(error), open_file(bucket, name) as file:
            file.write(bytes(size))
    assert_unchanged(bucket)


def test_the_last_to_close_wins(bucket: Bucket) -> None:
    """Two writers of one object get in no other's way: it is all of the last one."""
    first, second = open_file(bucket), open_file(bucket)
    for _ in range(3):
        first.write(b"1" * BLOCK)
        second.write(b"2" * BLOCK)
    first.close()
    assert content_of(bucket, "a") == b"1" * 3 * BLOCK
    second.close()
    assert content_of(bucket, "a") == b"2" * 3 * BLOCK


@pytest.mark.parametrize("size", [1, 3 * BLOCK])
def test_a_forked_child_has_no_part_in_it(bucket: Bucket, size: int) -> None:
    """It neither commits nor aborts what its parent writes, and may not write to it."""
    file = open_file(bucket)
    file.write(bytes(size))
    child = os.fork()
    if not child:
        try:
            file.write(bytes(BLOCK))
        except errors.IncompleteWriteError:
            file.close()
            gc.collect()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    file.write(b"x")
    file.close()
    assert content_of(bucket, "a") == bytes(size) + b"x"


def test_parts_grow_until_ten_terabytes_fit() -> None:
    """The parts that the cluster takes of one object hold 10 TB, and few of them are large."""
    sizes = [part_bytes(number, 8 * 2**20) for number in range(1, 10_000)]
    assert sum(sizes) > 10 * 10**12
    assert sizes[999] == 8 * 2**20
    assert max(sizes) < 5 * 2**30


def test_nothing_is_logged_of_a_good_day(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is closed says nothing."""
    with caplog.at_level(logging.INFO, "aisdatapipes"), open_file(bucket) as file:
        file.write(bytes(3 * BLOCK))
    assert not [record for record in caplog.records if record.name.startswith("aisdatapipes")]
