"""``gcp://`` and ``gs://``: a real node with its Google backend, against fake-gcs-server."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from aisdatapipes import AISFileLister, AISFileLoader, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from support.cloud_contract import CloudContract, read
from support.clouds import FakeGCS

SHARDS = [f"gcp://webdataset-testing/coco-train2014-seg-{number:06d}.tar" for number in range(5)]


@pytest.fixture(scope="module")
def gcs() -> Iterator[FakeGCS]:
    """Google's storage on this machine."""
    with FakeGCS() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gcp_cluster(gcs: FakeGCS) -> Iterator[LocalCluster]:
    """A cluster of two targets with fake-gcs-server as its backend."""
    with LocalCluster(2, backends={"gcp": {}}, environment=gcs.environment) as cluster:
        yield cluster


class TestGcpByFakeServer(CloudContract):
    """What every cloud has to do, done by Google's storage."""

    schemes = ("gcp", "gs")

    @pytest.fixture
    def cloud(self, gcs: FakeGCS) -> FakeGCS:
        """The storage that the cluster reaches."""
        return gcs

    @pytest.fixture
    def cluster(self, gcp_cluster: LocalCluster) -> LocalCluster:
        """The cluster."""
        return gcp_cluster


def shard(number: int) -> bytes:
    """Return a shard of COCO's make: an image and its segmentation for each key."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for key in range(20):
            for extension, size in (("jpg", 9_000 + key), ("seg.png", 700 + number)):
                member = tarfile.TarInfo(f"COCO_train2014_{number:06d}{key:06d}.{extension}")
                member.size = size
                tar.addfile(member, io.BytesIO(bytes([number]) * size))
    return file.getvalue()


def names_in(archive: bytes) -> list[str]:
    """Return the names of the members of a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


@pytest.fixture(scope="module")
def coco(gcs: FakeGCS) -> list[str]:
    """The five shards of the seed, in the cloud; the names of their members, in order."""
    gcs.create_bucket("webdataset-testing")
    for number, url in enumerate(SHARDS):
        gcs.put("webdataset-testing", url.rpartition("/")[2], shard(number))
    return [name for number in range(5) for name in names_in(shard(number))]


@pytest.mark.parametrize("_time", ["cold", "warm"])
def test_gcp_shards_as_in_the_blog(gcp_cluster: LocalCluster, coco: list[str], _time: str) -> None:
    """The second half of seed 000, line by line, with the cluster's address."""
    gcp_prefix = ["gcp://webdataset-testing/"]
    gcp_urls = AISFileLister(url=gcp_cluster.endpoint, source_datapipe=gcp_prefix)
    assert list(gcp_urls)[:5] == SHARDS
    dp_files = AISFileLoader(url=gcp_cluster.endpoint, source_datapipe=gcp_urls)
    names = []
    for url, file in dp_files.load_from_tar():
        names.append(url)
        assert len(file.read()) > 700 - 1
    assert [name.partition(".tar/")[2] for name in names] == coco
    # torchdata joins the paths as if they were files'.
    assert names[0].startswith(SHARDS[0].replace("://", ":/"))


def test_gcp_samples(gcp_cluster: LocalCluster, coco: list[str]) -> None:
    """The samples of the shards come by our own reader of tars too."""
    samples = list(IterableWrapper(SHARDS).load_samples_by_ais(gcp_cluster.endpoint))
    assert len(samples) == len(coco) // 2
    assert {len(sample["seg.png"]) for sample in samples} == {700, 701, 702, 703, 704}


def test_gcp_credentials_that_are_not_there_are_named(gcs: FakeGCS) -> None:
    """A cluster whose key for Google's storage is missing says which file it is."""
    environment = {**gcs.environment, "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}
    with LocalCluster(backends={"gcp": {}}, environment=environment) as cluster:
        with pytest.raises(errors.AISPipeError, match=r"/nowhere/key\.json"):
            list(AISFileLister(["gs://coco"], cluster.endpoint))
        with pytest.raises(errors.AISPipeError, match=r"/nowhere/key\.json"):
            read(["gs://coco/a"], cluster)
