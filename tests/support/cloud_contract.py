"""What a bucket behind the cluster has to do, whichever cloud it is in.

A module of tests subclasses `CloudContract` and gives it a cloud and a cluster.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import ClassVar, Protocol

import pytest
from aistore.sdk.const import ACT_EVICT_OBJECTS

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.client.connection import bucket_for
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.reading.streams import ObjectStream
from aisdatapipes.testing import LocalCluster
from support.faults import FaultProxy
from support.processes import becomes

SMALL = {
    **{f"d/{number:02d}.txt": random.Random(number).randbytes(300 * number) for number in range(9)},
    "d.txt": b"beside the folder",
    "e/a b+c&d=e%20#1?.txt": b"a hostile name",
    "e/grün/日本.txt": b"another one",
}
BIG = random.Random(1).randbytes(3_000_000)
STREAMED = Settings(whole_object_bytes=100_000, read_ahead_bytes=64_000)
# "In seconds": what a user waits for the bad news of a wrong name.
SOON_S = 5.0


class Cloud(Protocol):
    """A cloud that the tests write to, past AIStore."""

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        ...

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """Write an object."""
        ...

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object."""
        ...


def read(urls: list[str], cluster: LocalCluster | FaultProxy, **options) -> list[tuple[str, bytes]]:
    """Read everything."""
    return [
        (url, stream.read()) for url, stream in AISFileLoader(urls, cluster.endpoint, **options)
    ]


class CloudContract:
    """The tests.

    Attributes:
        schemes: The two ways to write the provider.
        where: What stands in front of the name of a bucket.
        objects: What a bucket has.
    """

    schemes: tuple[str, str]
    where = ""
    objects: ClassVar[dict[str, bytes]] = SMALL

    @pytest.fixture
    def cloud(self) -> Cloud:
        """The cloud that `cluster` reaches."""
        raise NotImplementedError

    @pytest.fixture
    def cluster(self) -> LocalCluster:
        """A cluster with the cloud as its backend."""
        raise NotImplementedError

    @pytest.fixture
    def bucket(self, cloud: Cloud) -> str:
        """The name of a bucket in the cloud with `objects`, that the cluster has not seen."""
        name = f"{self.where}b{uuid.uuid4().hex[:12]}"
        cloud.create_bucket(name)
        for key, data in self.objects.items():
            cloud.put(name, key, data)
        return name

    @pytest.fixture
    def proxy(self, cluster: LocalCluster) -> Iterator[FaultProxy]:
        """The cluster as seen through a proxy that counts the requests."""
        with FaultProxy(cluster.endpoint) as proxy:
            yield proxy

    def expected(self, bucket: str, scheme: str | None = None) -> list[tuple[str, bytes]]:
        """What the bucket has, as URLs and contents in the order of the names."""
        return [
            (f"{scheme or self.schemes[0]}://{bucket}/{name}", self.objects[name])
            for name in sorted(self.objects)
        ]

    @pytest.mark.parametrize("prefix", ["", "/", "/d/", "/d", "/d/0", "/e/a b+c&d=e%20#1?", "/f"])
    def test_it_lists_what_the_cloud_has(
        self, cluster: LocalCluster, bucket: str, prefix: str
    ) -> None:
        """Every name under the prefix comes, in order, spelled with the scheme of the prefix."""
        for scheme in self.schemes:
            url = f"{scheme}://{bucket}{prefix}"
            listed = AISFileLister([url], cluster.endpoint, allow_empty=True)
            urls = [url for url, _ in self.expected(bucket, scheme)]
            wanted = f"{scheme}://{bucket}/{prefix.removeprefix('/')}"
            assert list(listed) == [url for url in urls if url.startswith(wanted)]

    def test_it_lists_page_by_page(self, cluster: LocalCluster, bucket: str) -> None:
        """Small pages give the same names as one big page."""
        pages = AISFileLister(
            [f"{self.schemes[0]}://{bucket}"], cluster.endpoint, settings=Settings(page_size=2)
        )
        assert list(pages) == [url for url, _ in self.expected(bucket)]

    @pytest.mark.parametrize("options", [{}, {"max_batch": 1}, {"verify": "checksum"}])
    def test_it_reads_cold_and_warm(
        self, cloud: Cloud, cluster: LocalCluster, bucket: str, options: dict[str, object]
    ) -> None:
        """What comes from the cloud first comes from the cluster then, and is the same."""
        expected = self.expected(bucket)
        urls = [url for url, _ in expected]
        assert read(urls, cluster, **options) == expected
        for name in self.objects:
            cloud.delete(bucket, name)
        assert read(urls, cluster, **options) == expected

    def test_what_the_cluster_has_comes_by_one_batch(self, proxy: FaultProxy, bucket: str) -> None:
        """Cold objects need a request each, as GetBatch never asks the cloud; warm ones do not."""
        expected = self.expected(bucket)
        urls = [url for url, _ in expected]
        assert read(urls, proxy, max_batch=1) == expected
        proxy.requests.clear()
        assert read(urls, proxy) == expected
        batches = proxy.count(r"^GET /v1/ml/.*pid=")
        assert 1 <= batches <= 2
        assert proxy.count(r"^GET /v1/objects/.*pid=") <= 1

    @pytest.mark.parametrize("jumps", [[0], [2_500_000, 10, 1_000_000]])
    def test_big_objects_are_streamed(
        self, cloud: Cloud, cluster: LocalCluster, bucket: str, jumps: list[int]
    ) -> None:
        """A big object is never in memory; it is read on and jumped in, cold and warm."""
        cloud.put(bucket, "big", BIG)
        for _time in ("cold", "warm"):
            loader = AISFileLoader(
                [f"{self.schemes[1]}://{bucket}/big"], cluster.endpoint, settings=STREAMED
            )
            [(_, stream)] = loader
            assert isinstance(stream.file_obj, ObjectStream)
            for position in jumps:
                stream.seek(position)
                assert stream.read(200_000) == BIG[position : position + 200_000]
            stream.seek(0)
            assert stream.read() == BIG

    def test_a_missing_bucket_is_an_error_soon(self, cluster: LocalCluster) -> None:
        """Listing and loading name the bucket, as one that is not behind the cluster."""
        start = time.monotonic()
        bucket = f"{self.schemes[0]}://{self.where}nobody-made-it"
        for pipe in (
            AISFileLister([bucket], cluster.endpoint),
            AISFileLoader([f"{bucket}/a"], cluster.endpoint),
            AISFileLoader([f"{bucket}/a", f"{bucket}/b"], cluster.endpoint),
        ):
            with pytest.raises(errors.RemoteBucketNotFoundError, match=bucket) as caught:
                list(pipe)
            assert caught.value.status_code == 404
        assert time.monotonic() - start < SOON_S

    def test_a_missing_object_is_an_error_soon(self, cluster: LocalCluster, bucket: str) -> None:
        """It is the error of a missing object, alone and in a batch, and can be skipped."""
        start = time.monotonic()
        good, bad = (f"{self.schemes[0]}://{bucket}/{name}" for name in ("d.txt", "gone"))
        for urls in ([bad], [good, bad, good]):
            with pytest.raises(errors.ObjectNotFoundError, match="no object 'gone'") as caught:
                read(urls, cluster)
            assert caught.value.status_code == 404
        assert [url for url, _ in read([good, bad, good], cluster, on_error="skip")] == [good, good]
        assert time.monotonic() - start < SOON_S

    @pytest.mark.parametrize("size", [0, 1000, 6_000_000])
    def test_what_is_written_is_in_the_cloud(
        self, cluster: LocalCluster, bucket: str, size: int
    ) -> None:
        """A file of any size is there when it is closed, also when the cluster has forgotten it."""
        data = random.Random(size).randbytes(size)
        url = f"{self.schemes[0]}://{bucket}/written/a b"
        request = ObjectRequest.parse(url, cluster.endpoint, Settings())
        with WritableFile(request, block_size=100_000) as file:
            file.write(data)
        assert read([url], cluster) == [(url, data)]
        here = bucket_for(request.url, cluster.endpoint, Settings())
        # The SDK does this for clouds, and not for another AIStore.
        evicting = here.make_request("DELETE", ACT_EVICT_OBJECTS, {"objnames": [request.url.name]})
        job = cluster.client().job(evicting.text)
        assert becomes(lambda: job.status().end_time != 0)
        assert read([url], cluster) == [(url, data)]
