"""Reading by the filesystem: open files, many files, ranges."""

from __future__ import annotations

import io
import pickle
import random
import threading
from pathlib import Path

import pytest
from aistore.sdk import Bucket
from fsspec.callbacks import Callback

from aisdatapipes import Settings, errors
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Cut
from support.faults import FaultProxy

CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def fs(ais_cluster: LocalCluster) -> AISFileSystem:
    """The filesystem."""
    return AISFileSystem(ais_cluster.endpoint)


@pytest.fixture
def path(ais_bucket: Bucket, put_object: PutObject) -> str:
    """A big object."""
    put_object(ais_bucket, "folder/big", CONTENT)
    return f"{ais_bucket.name}/folder/big"


def test_a_small_object_is_one_request(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """It is opened and read by the same one: two, with the proxy's redirect."""
    put_object(ais_bucket, "small", b"few")
    with AISFileSystem(faults.endpoint).open(f"{ais_bucket.name}/small") as file:
        assert (file.size, file.read(), file.read()) == (3, b"few", b"")
    assert [exchange.method for exchange in faults.requests] == ["GET", "GET"]


def test_windows_grow_while_reading_goes_on(path: str, faults: FaultProxy) -> None:
    """So a big object takes few requests in pieces, and a jump does not read much more."""
    fs = AISFileSystem(faults.endpoint, block_size=2**20)
    with fs.open(path) as file:
        pieces = list(iter(lambda: file.read(1000), b""))
    assert b"".join(pieces) == CONTENT
    assert faults.count("GET .*pid=") == 5  # 256 KiB, 512 KiB and 1 MiB as long as there is more


@pytest.mark.parametrize("block_size", [1, 1000, 2**20, 2**23])
@pytest.mark.parametrize("seed", range(5))
def test_random_reads_are_those_of_a_local_file(
    fs: AISFileSystem, path: str, seed: int, block_size: int
) -> None:
    """Whatever is done in whatever order."""
    chance, local = random.Random(seed), io.BytesIO(CONTENT)
    with fs.open(path, block_size=block_size) as file:
        for _ in range(60):
            size = chance.choice([0, 1, 10, 5000, 300_000, 2_000_000])
            where = chance.randrange(len(CONTENT) + 1000)
            act = chance.choice(["read", "read", "readinto", "read1", "seek", "end", "peek"])
            if act == "seek":
                assert file.seek(where) == local.seek(where)
            elif act == "end":
                assert file.seek(-size, io.SEEK_END) == local.seek(-size, io.SEEK_END)
            elif act == "readinto":
                one, other = bytearray(size), bytearray(size)
                assert file.readinto(one) == local.readinto(other)
                assert one == other
            elif act == "peek":
                assert local.getvalue()[local.tell() :].startswith(file.peek(size))
            elif act == "read1":
                piece = file.read1(size)
                assert piece == local.read(len(piece))
            else:
                assert file.read(size) == local.read(size)
            assert file.tell() == local.tell()
        file.seek(0)
        assert file.read() == CONTENT


def test_lines_and_texts(fs: AISFileSystem, ais_bucket: Bucket, put_object: PutObject) -> None:
    """As those of a local file."""
    text = "".join(f"line {number} äöü\n" for number in range(30_000))
    put_object(ais_bucket, "text", text.encode())
    path = f"{ais_bucket.name}/text"
    with fs.open(path, "r", encoding="utf-8") as file:
        assert list(file) == text.splitlines(keepends=True)
    with fs.open(path) as file:
        assert list(file) == text.encode().splitlines(keepends=True)


def test_an_empty_object_is_open(
    fs: AISFileSystem, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """No range of it can be had, and it has no bytes."""
    put_object(ais_bucket, "empty", b"")
    path = f"{ais_bucket.name}/empty"
    with fs.open(path) as file:
        assert (file.size, file.read(), file.read(5), file.peek()) == (0, b"", b"", b"")
    assert fs.cat(path) == fs.cat_file(path, 0, 5) == fs.cat_ranges([path], 0, 9)[0] == b""


def test_threads_share_a_file(fs: AISFileSystem, path: str) -> None:
    """What a thread reads after it went somewhere is from there."""
    file, wrong = fs.open(path, block_size=50_000), []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(100):
            where, size = chance.randrange(len(CONTENT)), chance.randrange(30_000)
            file.seek(where)
            if file.read(size) != CONTENT[where : where + size]:
                wrong.append(where)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_thread_goes_on_where_another_was(fs: AISFileSystem, path: str) -> None:
    """A file that is handed over has one position."""
    file = fs.open(path)
    file.seek(100)
    read = []
    thread = threading.Thread(target=lambda: read.append(file.read(10)))
    thread.start()
    thread.join()
    assert (read[0], file.read(10)) == (CONTENT[100:110], CONTENT[110:120])


def test_a_file_pickles(fs: AISFileSystem, path: str) -> None:
    """The copy goes on at the same position."""
    file = fs.open(path)
    file.seek(1234)
    copy = pickle.loads(pickle.dumps(file))
    assert (copy.read(10), copy.path) == (CONTENT[1234:1244], path)


def test_a_replaced_object_is_an_error(
    fs: AISFileSystem, path: str, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """Never a part of one and a part of another."""
    file = fs.open(path)
    file.read(10)
    put_object(ais_bucket, "folder/big", CONTENT[::-1])
    file.seek(2_000_000)
    with pytest.raises(errors.ObjectChangedError):
        file.read(10)


def test_a_closed_file_says_so(fs: AISFileSystem, path: str) -> None:
    """And what mode there is not."""
    file = fs.open(path)
    file.close()
    with pytest.raises(ValueError, match="is closed"):
        file.read(1)
    with pytest.raises(ValueError, match="mode is 'r\\+b'"):
        fs.open(path, "r+b")
    with pytest.raises(ValueError, match="before the beginning"):
        fs.open(path).seek(-1)
    with pytest.raises(ValueError, match="whence 7"):
        fs.open(path).seek(0, 7)


def test_a_folder_is_no_file(fs: AISFileSystem, path: str) -> None:
    """It raises what a local one does, however it is read; what is missing does too."""
    folder, bucket = path.rpartition("/")[0], path.partition("/")[0]
    for read in (fs.open, fs.cat_file, lambda path: fs.cat([path]), fs.rm_file):
        with pytest.raises(IsADirectoryError):
            read(folder)
        with pytest.raises(errors.ObjectNotFoundError):
            read(f"{bucket}/nothing")
    with pytest.raises(IsADirectoryError):
        fs.open(f"{bucket}/x/", "wb")


def test_a_bucket_is_no_file(fs: AISFileSystem, path: str) -> None:
    """To read, to write, to remove: a bucket is a folder."""
    bucket = path.partition("/")[0]
    calls = [
        *(fs.open, fs.cat_file, lambda path: fs.cat([path]), fs.rm_file, fs.touch),
        lambda path: fs.open(path, "wb"),
        lambda path: fs.cat_ranges([path], [0], [1], on_error="raise"),
        lambda path: fs.put_file(__file__, path),
        lambda path: fs.get_file(path, "never"),
    ]
    for call in calls:
        for spelling in (bucket, f"ais://{bucket}", f"{bucket}/"):
            with pytest.raises(IsADirectoryError, match=bucket):
                call(spelling)


def test_a_broken_connection_is_read_again(path: str, faults: FaultProxy) -> None:
    """In the first window, and in a later one."""
    settings = Settings(first_backoff_s=0.01)
    fs = AISFileSystem(faults.endpoint, settings=settings)
    with faults.rule(Cut(100_000, times=2)) as cut, fs.open(path) as file:
        assert faults.hits(cut) == 2
    with fs.open(path) as file, faults.rule(Cut(100_000, times=2)) as cut:
        assert file.read() == CONTENT
        assert faults.hits(cut) == 2
    with faults.rule(Cut(1000, times=2)) as cut:
        assert fs.cat_file(path, 5, 9000) == CONTENT[5:9000]
        assert faults.hits(cut) == 2


def test_many_are_read_by_few_requests(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """By GetBatch, as datasets do."""
    names = [f"x/{number}" for number in range(200)]
    for name in names:
        put_object(ais_bucket, name, name.encode())
    fs = AISFileSystem(faults.endpoint)
    paths = [f"{ais_bucket.name}/{name}" for name in names]
    faults.requests.clear()
    assert fs.cat(paths) == {path: path.partition("/")[2].encode() for path in paths}
    assert len(faults.requests) < 20
    assert fs.counters().objects == 200


def test_cat_of_what_cannot_be_read(fs: AISFileSystem, path: str) -> None:
    """It raises, or leaves out, or gives the error."""
    missing = f"{path}-nothing"
    with pytest.raises(errors.ObjectNotFoundError):
        fs.cat([path, missing])
    assert fs.cat([path, missing], on_error="omit") == {path: CONTENT}
    assert isinstance(fs.cat([path, missing], on_error="return")[missing], FileNotFoundError)
    with pytest.raises(ValueError, match="on_error"):
        fs.cat([path, missing], on_error="skip")
    assert fs.cat(path.rpartition("/")[0], recursive=True) == {path: CONTENT}
    assert fs.cat(f"{path[:-1]}*") == {path: CONTENT}
    assert fs.cat(path) == CONTENT


@pytest.mark.parametrize("max_gap", [None, 0, 10**7])
@pytest.mark.parametrize("seed", range(4))
def test_random_ranges_are_slices(
    fs: AISFileSystem,
    ais_bucket: Bucket,
    put_object: PutObject,
    path: str,
    seed: int,
    max_gap: int | None,
) -> None:
    """Whatever their number, their sizes, their order and how they overlap."""
    put_object(ais_bucket, "five", b"12345")
    contents = {path: CONTENT, f"{ais_bucket.name}/five": b"12345"}
    chance = random.Random(seed)
    ranges = []
    for _ in range(chance.choice([1, 3, 300])):
        name = chance.choice(list(contents))
        begin = chance.choice([None, 0, -3, chance.randrange(len(contents[name]) + 3)])
        end = chance.choice([None, -1, 5, (begin or 0) + chance.choice([0, 1, 100, 50_000])])
        ranges.append((name, begin, end))
    read = fs.cat_ranges(*map(list, zip(*ranges, strict=True)), max_gap=max_gap)
    assert read == [contents[name][slice(begin, end)] for name, begin, end in ranges]
    name, begin, end = ranges[0]
    assert fs.cat_file(name, begin, end) == read[0]


def test_near_ranges_are_read_as_one(path: str, faults: FaultProxy) -> None:
    """And those far away are one request for many."""
    fs = AISFileSystem(faults.endpoint, concurrency=1)
    starts = [*range(0, 100_000, 1000), 2_000_000]
    read = fs.cat_ranges([path] * len(starts), starts, [start + 10 for start in starts])
    assert read == [CONTENT[start : start + 10] for start in starts]
    assert faults.count("ml/|GetBatch|GET /v1/ml") == faults.count("GET /v1/ml") > 0
    assert len(faults.requests) <= 3


def test_a_range_that_cannot_be_read(fs: AISFileSystem, path: str) -> None:
    """It is its error, and the others are read."""
    missing, bad = f"{path}-nothing", f"{path}/../x"
    read = fs.cat_ranges([path, missing, bad, path], [0, 0, 0, 5], 7)
    assert (read[0], read[3]) == (CONTENT[:7], CONTENT[5:7])
    assert isinstance(read[1], errors.ObjectNotFoundError)
    assert isinstance(read[2], errors.InvalidURLError)
    with pytest.raises(errors.ObjectNotFoundError):
        fs.cat_ranges([path, missing], 0, 7, on_error="raise")
    with pytest.raises(ValueError, match="2 paths, 1 starts"):
        fs.cat_ranges([path, path], [0], 7)


def test_a_local_file_is_whole_or_not_there(path: str, faults: FaultProxy, tmp_path: Path) -> None:
    """A copy that fails leaves an old file as it was, and nothing beside it."""
    target = tmp_path / "target"
    target.write_text("old")
    fs = AISFileSystem(faults.endpoint, settings=Settings(max_retries=0))
    with faults.rule(Cut(1_000_000, times=None)), pytest.raises(errors.IncompleteReadError):
        fs.get(path, str(target))
    assert (list(tmp_path.iterdir()), target.read_text()) == ([target], "old")
    fs.get(path, str(target))
    assert target.read_bytes() == CONTENT
    fs.get_file(path, tmp_path / "new" / "target")
    assert (tmp_path / "new" / "target").read_bytes() == CONTENT
    opened = io.BytesIO()
    fs.get_file(path, opened)
    assert opened.getvalue() == CONTENT
    with pytest.raises(FileNotFoundError):
        fs.get_file(f"{path}-nothing", tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        fs.get_file(path.rpartition("/")[0], tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_folder_is_copied_whole(
    fs: AISFileSystem, ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """With big and small files at all levels, and a callback that is told of each."""
    contents = {f"folder/{number // 10}/{number}": b"%d" % number for number in range(40)}
    for name, content in contents.items():
        put_object(ais_bucket, name, content)
    contents["folder/big"] = CONTENT
    put_object(ais_bucket, "folder/big", CONTENT)
    callback = Callback()
    fs.get(f"{ais_bucket.name}/folder", str(tmp_path), recursive=True, callback=callback)
    copied = {
        str(one.relative_to(tmp_path)): one.read_bytes()
        for one in tmp_path.rglob("*")
        if one.is_file()
    }
    assert copied == contents
    assert (callback.size, callback.value) == (41, 41)


def test_a_long_name_becomes_a_local_file(
    fs: AISFileSystem, ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """Also one that has as many bytes as a local name may have."""
    name = "語" * 85
    put_object(ais_bucket, name, b"1")
    fs.get(f"{ais_bucket.name}/{name}", f"{tmp_path}/")
    assert (tmp_path / name).read_bytes() == b"1"
