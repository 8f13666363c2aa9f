"""``ais://@alias/bucket``: a real cluster with a second real cluster behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.cloud_contract import SMALL, SOON_S, CloudContract, read
from support.faults import FaultProxy

ALIAS = "far"
HOSTILE = "e/a b+c&d=e%20#1?.txt"


class FarBuckets:
    """The buckets of another cluster, by the names that they have behind this one."""

    def __init__(self, cluster: LocalCluster, put_object: PutObject) -> None:
        self._client = cluster.client()
        self._put_object = put_object

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._bucket(name).create()

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """Write an object."""
        self._put_object(self._bucket(bucket), name, data)

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object."""
        self._bucket(bucket).object(name).delete()

    def _bucket(self, name: str) -> Bucket:
        return self._client.bucket(name.removeprefix(f"@{ALIAS}/"))


@pytest.fixture(scope="module")
def far() -> Iterator[LocalCluster]:
    """The cluster behind."""
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def near(far: LocalCluster) -> Iterator[LocalCluster]:
    """A cluster of two targets, with the other one behind it."""
    with LocalCluster(2) as cluster:
        cluster.attach(ALIAS, far.endpoint)
        yield cluster


class TestRemoteCluster(CloudContract):
    """What every cloud has to do, done by another AIStore."""

    schemes = ("ais", "ais")
    where = f"@{ALIAS}/"
    objects: ClassVar[dict[str, bytes]] = {name: SMALL[name] for name in SMALL.keys() - {HOSTILE}}

    @pytest.fixture
    def cloud(self, far: LocalCluster, put_object: PutObject) -> FarBuckets:
        """The cluster behind."""
        return FarBuckets(far, put_object)

    @pytest.fixture
    def cluster(self, near: LocalCluster) -> LocalCluster:
        """The cluster in front."""
        return near

    def test_it_lists_page_by_page(self, cluster: LocalCluster, bucket: str) -> None:
        """Small pages of one folder give the same names as one big page."""
        pages = AISFileLister(
            [f"ais://{bucket}/d/"], cluster.endpoint, settings=Settings(page_size=2)
        )
        folder = [url for url, _ in self.expected(bucket) if f"{bucket}/d/" in url]
        assert list(pages) == folder

    @pytest.mark.parametrize("name", [HOSTILE, "d.txt?v=1", "d.txt#1", "%64.txt"])
    def test_names_that_read_another_object_are_refused(
        self, cloud: FarBuckets, cluster: LocalCluster, bucket: str, name: str
    ) -> None:
        """AIStore would answer with ``d.txt``; the object is listed, and read nowhere."""
        cloud.put(bucket, name, b"not this one")
        assert f"ais://{bucket}/{name}" in list(
            AISFileLister([f"ais://{bucket}"], cluster.endpoint)
        )
        with pytest.raises(errors.InvalidURLError, match="asks a remote cluster"):
            read([f"ais://{bucket}/{name}"], cluster)

    def test_what_the_cluster_has_comes_by_one_batch(self, proxy: FaultProxy, bucket: str) -> None:
        """GetBatch knows no namespaces: each object is its own request, warm ones too."""
        expected = self.expected(bucket)
        urls = [url for url, _ in expected]
        for _time in ("cold", "warm"):
            assert read(urls, proxy) == expected
        assert proxy.count("/v1/ml/") == 0
        assert proxy.count(r"^GET /v1/objects/.*pid=") == 2 * len(self.objects)

    def test_workers_read_it(self, cluster: LocalCluster, bucket: str) -> None:
        """DataLoader workers share what is listed behind the cluster."""
        pipe = (
            IterableWrapper([f"ais://{bucket}"])
            .list_files_by_ais(cluster.endpoint)
            .sharding_filter()
            .load_files_by_ais(cluster.endpoint)
            .map(_content)
        )
        loader = DataLoader(
            pipe, batch_size=None, num_workers=2, multiprocessing_context="forkserver"
        )
        assert sorted(loader) == sorted(self.objects.values())


def _content(item) -> bytes:
    return item[1].read()


def test_a_remote_cluster_that_nobody_attached_is_named(near: LocalCluster) -> None:
    """The error repeats the alias, soon, and says that it is the cluster that is missing."""
    start = time.monotonic()
    for pipe in (
        AISFileLister(["ais://@nowhere/b"], near.endpoint),
        AISFileLoader(["ais://@nowhere/b/a"], near.endpoint),
    ):
        with pytest.raises(errors.RemoteBucketNotFoundError, match='cluster "nowhere" does not'):
            list(pipe)
    assert time.monotonic() - start < SOON_S


def test_a_remote_cluster_that_stopped_is_an_error(put_object: PutObject) -> None:
    """What was read comes from the cluster in front; what was not names what cannot be reached."""
    with LocalCluster() as near:
        with LocalCluster() as far:
            near.attach(ALIAS, far.endpoint)
            bucket = far.client().bucket("b").create()
            for name in ("a", "b"):
                put_object(bucket, name, name.encode())
            assert read(["ais://@far/b/a"], near) == [("ais://@far/b/a", b"a")]
        assert read(["ais://@far/b/a"], near) == [("ais://@far/b/a", b"a")]
        with pytest.raises(errors.AISPipeError, match="ais://@far/b") as caught:
            read(["ais://@far/b/b"], near)
        assert "refused" in caught.value.message
