"""Writing: put, uploads, and what changes objects and buckets within the cluster."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings, errors
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.testing import LocalCluster
from aisdatapipes.urls import ParsedURL, parse_url
from aisdatapipes.writing.changes import (
    copy_object,
    create_bucket,
    delete_object,
    delete_objects,
    destroy_bucket,
)
from aisdatapipes.writing.put import put_object
from aisdatapipes.writing.upload import ObjectUpload
from conftest import PutObject
from support.bucket_properties import set_checksum
from support.processes import becomes
from support.writing import QUICK, content_of, request_of, uploads_in

BLOCK = 10_000
NAMES = ["a b", "c#?", "d/é", "{1..3}", "%2F", "q[1]", "*", "a;b", "x" * 200]


@pytest.mark.parametrize("kind", ["xxhash2", "md5", "sha256", "sha512", "crc32c", "none"])
def test_every_kind_of_checksum_is_written(ais_bucket: Bucket, kind: str) -> None:
    """A bucket may keep any kind of checksum, or none: what can be compared is compared."""
    set_checksum(ais_bucket, kind)
    data = random.Random(kind).randbytes(3 * BLOCK + 1)
    for name in ("bytes", "file", "upload"):
        request = request_of(ais_bucket, name)
        if name == "upload":
            with WritableFile(request, block_size=BLOCK) as file:
                file.write(data)
        else:
            put_object(request, data if name == "bytes" else BytesIO(data), len(data))
        assert content_of(ais_bucket, name) == data


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_written(ais_bucket: Bucket, name: str) -> None:
    """What a name has of odd characters stays in it, in one request and in many."""
    put_object(request_of(ais_bucket, name), b"put", 3)
    assert content_of(ais_bucket, name) == b"put"
    with WritableFile(request_of(ais_bucket, name), block_size=2) as file:
        file.write(b"upload")
    assert content_of(ais_bucket, name) == b"upload"


def test_a_name_that_is_no_text_is_written(ais_bucket: Bucket) -> None:
    """Bytes that are not UTF-8 are a name, too."""
    request = request_of(ais_bucket, "latin-\udce4")
    for block_size in (2, 100):
        with WritableFile(request, block_size=block_size) as file:
            file.write(b"content")
        assert request.ask_size() == 7
    delete_objects(parse_url(f"ais://{ais_bucket.name}"), [request.url.name], *place(ais_bucket))
    assert not list(ais_bucket.list_objects_iter())


def test_a_file_that_ends_early_is_not_written(ais_bucket: Bucket) -> None:
    """A file that got shorter, or cannot be read, changes nothing, and the error says why."""
    put_object(request_of(ais_bucket, "a"), b"old", 3)
    with pytest.raises(errors.IncompleteWriteError, match="it ended 7 bytes early"):
        put_object(request_of(ais_bucket, "a"), BytesIO(b"abc"), 10)

    class Broken(BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError("the disk is broken")

    with pytest.raises(errors.IncompleteWriteError, match="the disk is broken"):
        put_object(request_of(ais_bucket, "a"), Broken(), 10)
    assert content_of(ais_bucket, "a") == b"old"


def test_an_upload_is_seen_when_it_is_committed(ais_bucket: Bucket) -> None:
    """Parts alone are nothing; to abort, before or after, once or twice, changes nothing."""
    for is_committed in (False, True):
        upload = ObjectUpload(request_of(ais_bucket, "a"))
        upload.send(b"hello ")
        upload.send(bytearray(b"world"))  # pyright: ignore[reportArgumentType]
        upload.wait()
        assert content_of(ais_bucket, "a") is None
        assert uploads_in(ais_bucket) == ["a"]
        if is_committed:
            upload.commit()
        upload.abort()
        upload.abort()
        assert not uploads_in(ais_bucket)
        assert content_of(ais_bucket, "a") == (b"hello world" if is_committed else None)
        with pytest.raises(errors.IncompleteWriteError, match="aborted"):
            upload.send(b"!")


def writers(bucket: Bucket, sizes: list[int]) -> Iterator[threading.Thread]:
    """Yield threads, each of which writes ``a`` several times."""

    def write(seed: int) -> None:
        for _ in range(4):
            with WritableFile(request_of(bucket, "a"), block_size=BLOCK) as file:
                file.write(bytes([seed]) * sizes[seed])

    for seed in range(len(sizes)):
        yield threading.Thread(target=write, args=(seed,))


@pytest.mark.parametrize("sizes", [[3 * BLOCK] * 3, [3 * BLOCK, 1, 5 * BLOCK + 1]])
def test_writers_of_one_object_are_in_no_ones_way(ais_bucket: Bucket, sizes: list[int]) -> None:
    """However they come together, no one fails, and the object is all of one of them."""
    threads = list(writers(ais_bucket, sizes))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = content_of(ais_bucket, "a")
    assert content in [bytes([seed]) * size for seed, size in enumerate(sizes)]
    assert not uploads_in(ais_bucket)


def write_for_ever(bucket: Bucket, started: Path) -> None:
    """Write parts until a signal comes, and tell by a file when the first has gone."""
    with WritableFile(request_of(bucket, "a"), block_size=BLOCK) as file:
        for _ in range(9000):
            file.write(bytes(BLOCK))
            if file.tell() > 3 * BLOCK:
                started.touch()
    os._exit(1)


def end_by(number: signal.Signals, bucket: Bucket, folder: Path, delay_s: float) -> None:
    """End a forked process that writes ``a``, in the middle."""
    started = folder / f"started-{delay_s}"
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            write_for_ever(bucket, started)
        finally:
            os._exit(0)
    assert becomes(started.exists)
    time.sleep(delay_s)
    os.kill(child, number)
    os.waitpid(child, 0)


def test_a_killed_writer_leaves_the_old_object(ais_bucket: Bucket, tmp_path: Path) -> None:
    """After SIGKILL the object is the one before, whole, and the next writer has its way."""
    put_object(request_of(ais_bucket, "a"), b"old", 3)
    end_by(signal.SIGKILL, ais_bucket, tmp_path, 0.01)
    assert content_of(ais_bucket, "a") == b"old"
    with WritableFile(request_of(ais_bucket, "a"), block_size=BLOCK) as file:
        file.write(bytes(3 * BLOCK))
    assert content_of(ais_bucket, "a") == bytes(3 * BLOCK)


def test_ctrl_c_leaves_nothing(ais_bucket: Bucket, tmp_path: Path) -> None:
    """Whenever it comes, the old object is there, and no upload is."""
    put_object(request_of(ais_bucket, "a"), b"old", 3)
    for number in range(8):
        end_by(signal.SIGINT, ais_bucket, tmp_path, number / 1000)
        assert content_of(ais_bucket, "a") == b"old"
        assert not uploads_in(ais_bucket)


UNCLOSED = """
import sys
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes import Settings
files = []
for name in "ab":
    file = WritableFile(
        ObjectRequest.parse(f"{sys.argv[1]}/{name}", sys.argv[2], Settings()),
        block_size=1000, autocommit=name == "a",
    )
    file.write(bytes(5000))
    files.append(file)
file.close()
"""


def test_a_process_that_ends_leaves_nothing(ais_bucket: Bucket) -> None:
    """What is not committed at the end of a program is removed, closed or not."""
    endpoint, _ = place(ais_bucket)
    arguments = [sys.executable, "-c", UNCLOSED, f"ais://{ais_bucket.name}", endpoint]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in done.stderr
    assert "'a' in ais://" in done.stderr
    assert not uploads_in(ais_bucket)
    assert not list(ais_bucket.list_objects_iter())


def place(bucket: Bucket) -> tuple[str, Settings]:
    """Return where the cluster is, and settings for it."""
    return bucket.client.base_url.removesuffix("/v1"), QUICK


@pytest.fixture
def bucket_url(ais_bucket: Bucket) -> ParsedURL:
    """The URL of the bucket."""
    return parse_url(f"ais://{ais_bucket.name}")


def test_objects_are_copied(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """A copy has the same bytes, in this bucket and in another; what is missing is named."""
    data = bytes(3 * BLOCK)
    with WritableFile(request_of(ais_bucket, "from/a #?"), block_size=BLOCK) as file:
        file.write(data)
    source = request_of(ais_bucket, "from/a #?")
    other = ais_cluster.client().bucket(f"{ais_bucket.name}-2").create()
    try:
        for target in (request_of(ais_bucket, "to/b%é"), request_of(other, "b")):
            copy_object(source, target)
            copy_object(source, target)
        assert content_of(ais_bucket, "to/b%é") == content_of(other, "b") == data
    finally:
        other.delete()
    with pytest.raises(errors.ObjectNotFoundError, match="no object 'missing'"):
        copy_object(request_of(ais_bucket, "missing"), source)
    nowhere = request_of(Bucket("nowhere", ais_bucket.client), "a")
    with pytest.raises(errors.BucketNotFoundError, match="ais://nowhere"):
        copy_object(source, nowhere)
    with pytest.raises(errors.IsFolderError, match="'to'"):
        copy_object(source, request_of(ais_bucket, "to"))
    with pytest.raises(errors.NotAFolderError):
        copy_object(source, request_of(ais_bucket, "to/b%é/x"))
    with pytest.raises(errors.InvalidURLError, match="another cluster"):
        copy_object(source, request_of(ais_bucket, "b", "http://other:8080"))


def test_objects_are_deleted(
    ais_bucket: Bucket, bucket_url: ParsedURL, put_object: PutObject
) -> None:
    """One or many are gone when the call returns, and no others; one must be there."""
    for name in [*NAMES, "kept", "1", "2"]:
        put_object(ais_bucket, name, b"x")
    delete_object(request_of(ais_bucket, NAMES[0]))
    with pytest.raises(errors.ObjectNotFoundError, match="'a b'"):
        delete_object(request_of(ais_bucket, NAMES[0]))
    delete_objects(bucket_url, [], *place(ais_bucket))
    delete_objects(bucket_url, NAMES[1:], *place(ais_bucket))
    assert [entry.name for entry in ais_bucket.list_objects_iter()] == ["1", "2", "kept"]
    delete_objects(bucket_url, ["missing", "1", "gone"], *place(ais_bucket))
    assert [entry.name for entry in ais_bucket.list_objects_iter()] == ["2", "kept"]
    with pytest.raises(errors.BucketNotFoundError, match="ais://nowhere"):
        delete_objects(parse_url("ais://nowhere"), ["a"], *place(ais_bucket))


def test_many_objects_are_deleted(
    ais_bucket: Bucket, bucket_url: ParsedURL, put_object: PutObject
) -> None:
    """The job is waited for, however long it takes."""
    names = [f"{number}" for number in range(150)]
    for name in names:
        put_object(ais_bucket, name, b"x")
    delete_objects(bucket_url, names, *place(ais_bucket))
    assert not list(ais_bucket.list_objects_iter())


def test_buckets_are_created_and_destroyed(ais_bucket: Bucket, bucket_url: ParsedURL) -> None:
    """A bucket is created once, and destroyed once; those of clouds are neither."""
    new = parse_url(f"{bucket_url.bucket_url}-new")
    create_bucket(new, *place(ais_bucket))
    with pytest.raises(errors.AlreadyExistsError, match="-new is there already"):
        create_bucket(new, *place(ais_bucket))
    destroy_bucket(new, *place(ais_bucket))
    with pytest.raises(errors.BucketNotFoundError, match="-new"):
        destroy_bucket(new, *place(ais_bucket))
    for change in (create_bucket, destroy_bucket):
        with pytest.raises(errors.InvalidURLError, match="aws://photos"):
            change(parse_url("aws://photos"), *place(ais_bucket))


@pytest.mark.parametrize(
    "write",
    [
        lambda request: put_object(request, b"x", 1),
        lambda request: copy_object(request, request),
        delete_object,
    ],
)
def test_a_cluster_that_is_not_there_is_named(
    ais_bucket: Bucket, unused_endpoint: str, write: Callable
) -> None:
    """Every change says that nobody answers, and where."""
    settings = Settings(max_retries=0)
    with pytest.raises(errors.ClusterUnreachableError, match=unused_endpoint):
        write(request_of(ais_bucket, "a", unused_endpoint, settings))
