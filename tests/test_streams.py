"""Streams on a real node: the file protocol, memory, reconnection, replacement."""

from __future__ import annotations

import io
import os
import pickle
import random
import stat
import tarfile
import tracemalloc
from typing import IO

import pytest
import requests
from aistore.sdk import Bucket

from aisdatapipes import Settings, errors
from aisdatapipes.etl import ETLCall
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import ObjectStream, open_object
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

STREAMED = Settings(whole_object_bytes=0, read_ahead_bytes=1000)
DATA = random.Random(7).randbytes(50_000)


def open_url(url: str, endpoint: str, settings: Settings = STREAMED) -> IO[bytes]:
    """Open the object at `url`."""
    return open_object(ObjectRequest.parse(url, endpoint, settings))


@pytest.fixture
def url(ais_bucket: Bucket, put_object: PutObject) -> str:
    """The URL of an object that holds `DATA`."""
    put_object(ais_bucket, "data.bin", DATA)
    return f"ais://{ais_bucket.name}/data.bin"


def gets_of(cluster: LocalCluster) -> int:
    """Return how many objects the cluster's targets have been asked for since they started."""
    targets = requests.get(f"{cluster.endpoint}/v1/daemon?what=smap", timeout=10).json()["tmap"]
    addresses = [target["public_net"]["direct_url"] for target in targets.values()]
    stats = [
        requests.get(f"{address}/v1/daemon?what=node_stats", timeout=10).json()
        for address in addresses
    ]
    return sum(int(node["tracker"].get("get.n", 0)) for node in stats)


@pytest.mark.parametrize("whole_object_bytes", [0, len(DATA)])
def test_it_reads_like_a_file(url: str, ais_cluster: LocalCluster, whole_object_bytes: int) -> None:
    """Any sequence of reads and seeks gives what a file in memory gives."""
    settings = Settings(whole_object_bytes=whole_object_bytes, read_ahead_bytes=1000)
    stream, expected = open_url(url, ais_cluster.endpoint, settings), io.BytesIO(DATA)
    rng = random.Random(3)
    for _ in range(300):
        offset, size = rng.randrange(len(DATA) + 100), rng.choice([0, 1, 10, 999, 1001, 20_000])
        step = rng.choice(["seek", "read", "read", "forward", "end", "readline"])
        for file in (stream, expected):
            match step:
                case "seek":
                    file.seek(offset)
                case "forward":
                    file.seek(size, io.SEEK_CUR)
                case "end":
                    file.seek(-min(size, len(DATA)), io.SEEK_END)
        if step == "readline":
            assert stream.readline(size) == expected.readline(size)
        elif step == "read":
            assert stream.read(size) == expected.read(size)
        assert stream.tell() == expected.tell()
    stream.seek(0)
    assert stream.read() == DATA
    assert stream.read() == b""
    stream.close()


def test_seeking_before_the_beginning_is_refused(url: str, ais_cluster: LocalCluster) -> None:
    """A negative position is a `ValueError`, as with other files; a strange `whence` too."""
    with open_url(url, ais_cluster.endpoint) as stream, pytest.raises(ValueError, match="-1"):
        stream.seek(-1 - len(DATA), io.SEEK_END)
    with (
        open_url(url, ais_cluster.endpoint) as stream,
        pytest.raises(ValueError, match=r"whence.*7"),
    ):
        stream.seek(0, 7)


def test_small_objects_are_in_memory(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Up to the limit an object is read at once, the empty one too; beyond it is streamed."""
    limit = Settings(whole_object_bytes=3)
    for size, kind in [(0, io.BytesIO), (3, io.BytesIO), (4, ObjectStream)]:
        put_object(ais_bucket, f"{size}", b"x" * size)
        with open_url(f"ais://{ais_bucket.name}/{size}", ais_cluster.endpoint, limit) as stream:
            assert isinstance(stream, kind)
            assert stream.read() == b"x" * size


def test_reading_on_takes_one_request(url: str, ais_cluster: LocalCluster) -> None:
    """From beginning to end, in small pieces and over short gaps, there is one GET."""
    before = gets_of(ais_cluster)
    with open_url(url, ais_cluster.endpoint) as stream:
        while stream.read(700):
            stream.seek(200, io.SEEK_CUR)
    assert gets_of(ais_cluster) - before == 1


def test_a_jump_asks_for_a_range(url: str, ais_cluster: LocalCluster) -> None:
    """Each far jump costs one request, and reading on from there few more."""
    before = gets_of(ais_cluster)
    with open_url(url, ais_cluster.endpoint) as stream:
        for position in (40_000, 5_000):
            stream.seek(position)
            assert stream.read(10) == DATA[position : position + 10]
        assert gets_of(ais_cluster) - before == 3
        assert stream.read() == DATA[5_010:]
        # Ranges of 2,000, 4,000, 8,000, 16,000 and the rest.
        assert gets_of(ais_cluster) - before <= 8


def test_a_big_object_is_never_held_whole(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Reading 64 MiB through a stream keeps little more than the read-ahead in memory."""
    size = 64 * 2**20
    put_object(ais_bucket, "big", bytes(size))
    url = f"ais://{ais_bucket.name}/big"
    tracemalloc.start()
    try:
        with open_url(url, ais_cluster.endpoint, Settings()) as stream:
            assert sum(len(piece) for piece in iter(lambda: stream.read(2**20), b"")) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 8


def test_tar_members_are_readable_in_any_order(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A tar reader can go back to members of a streamed shard, as shuffling them does."""
    packed = io.BytesIO()
    contents = {f"{n}.bin": random.Random(n).randbytes(3000) for n in range(30)}
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    put_object(ais_bucket, "shard.tar", packed.getvalue())
    with (
        open_url(f"ais://{ais_bucket.name}/shard.tar", ais_cluster.endpoint) as stream,
        tarfile.open(fileobj=stream) as tar,
    ):
        members = tar.getmembers()
        random.Random(1).shuffle(members)
        read = {m.name: file.read() for m in members if (file := tar.extractfile(m))}
    assert read == contents


def test_a_replaced_object_is_noticed(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, url: str
) -> None:
    """Bytes of two versions are never mixed: the next request raises."""
    with open_url(url, ais_cluster.endpoint) as stream:
        assert stream.read(10) == DATA[:10]
        put_object(ais_bucket, "data.bin", DATA[::-1])
        stream.seek(40_000)
        with pytest.raises(errors.ObjectChangedError, match="was replaced"):
            stream.read(10)


def test_pickling_opens_anew_at_the_position(url: str, ais_cluster: LocalCluster) -> None:
    """A stream that crosses to another process goes on where it was."""
    with open_url(url, ais_cluster.endpoint) as stream:
        stream.seek(123)
        with pickle.loads(pickle.dumps(stream)) as copy:
            assert copy.read() == DATA[123:]
        assert stream.read(1) == DATA[123:124]


def test_no_socket_is_left_open(url: str, ais_cluster: LocalCluster) -> None:
    """Streams that are left half read do not pile up connections."""

    def is_socket(descriptor: int) -> bool:
        try:
            return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:
            return False

    def open_sockets() -> int:
        return sum(is_socket(descriptor) for descriptor in range(1000))

    counts = []
    for _ in range(30):
        open_url(url, ais_cluster.endpoint).read(10)
        counts.append(open_sockets())
    assert counts[-1] <= counts[1]


def test_a_missing_object(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """Opening raises at once, with the name, the bucket and the endpoint."""
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object 'a/1\.jpg' in ais") as caught:
        open_url(f"ais://{ais_bucket.name}/a/1.jpg", ais_cluster.endpoint)
    assert ais_cluster.endpoint in str(caught.value)


def test_an_etl_is_asked_for(url: str, ais_cluster: LocalCluster) -> None:
    """The name reaches the cluster with the read: this one is built without ETL and says so."""
    request = ObjectRequest.parse(url, ais_cluster.endpoint, STREAMED, ETLCall("resize"))
    with pytest.raises(errors.ClusterError, match="cannot use ETL in a build without ETL support"):
        open_object(request)


def test_a_stream_survives_the_restart_of_its_target(put_object: PutObject) -> None:
    """A target killed in the middle and started again costs a reconnection, no bytes."""
    data = random.Random(5).randbytes(32 * 2**20)
    with LocalCluster(targets=1) as cluster:
        bucket = cluster.client().bucket("restart").create()
        put_object(bucket, "big", data)
        with open_url("ais://restart/big", cluster.endpoint, Settings()) as stream:
            first = stream.read(1000)
            cluster.stop_target(0, kill=True)
            cluster.start_target(0)
            assert first + stream.read() == data


def test_a_stream_whose_target_is_gone_raises(put_object: PutObject) -> None:
    """A target that does not come back is an error that names the cluster, never a short read."""
    data = bytes(32 * 2**20)
    with LocalCluster(targets=1) as cluster:
        bucket = cluster.client().bucket("gone").create()
        put_object(bucket, "big", data)
        settings = Settings(outage_deadline_s=1)
        with open_url("ais://gone/big", cluster.endpoint, settings) as stream:
            stream.read(1000)
            cluster.stop_target(0, kill=True)
            with pytest.raises(errors.AISPipeError, match=cluster.endpoint):
                stream.read()
