"""``aws://`` and ``s3://``: a real node with its AWS backend, against moto."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from aisdatapipes import AISFileLister, AISFileLoader, errors
from aisdatapipes.testing import LocalCluster
from support.cloud_contract import SOON_S, CloudContract
from support.clouds import MotoS3


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoS3]:
    """S3 on this machine."""
    with MotoS3() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def aws_cluster(moto: MotoS3) -> Iterator[LocalCluster]:
    """A cluster of two targets with moto as its backend."""
    with LocalCluster(2, backends={"aws": {}}, environment=moto.environment) as cluster:
        yield cluster


class TestAwsByMoto(CloudContract):
    """What every cloud has to do, done by S3."""

    schemes = ("aws", "s3")

    @pytest.fixture
    def cloud(self, moto: MotoS3) -> MotoS3:
        """The S3 that the cluster reaches."""
        return moto

    @pytest.fixture
    def cluster(self, aws_cluster: LocalCluster) -> LocalCluster:
        """The cluster."""
        return aws_cluster


def test_aws_keys_that_are_refused_are_an_error_soon() -> None:
    """A cluster whose keys S3 refuses gives an error that is also a `PermissionError`."""
    with MotoS3(requests_without_key=1) as cloud:
        cloud.create_bucket("coco")
        with LocalCluster(backends={"aws": {}}, environment=cloud.environment) as cluster:
            start = time.monotonic()
            for pipe in (
                AISFileLister(["s3://coco"], cluster.endpoint),
                AISFileLoader(["s3://coco/a"], cluster.endpoint),
                AISFileLoader(["s3://coco/a", "s3://coco/b"], cluster.endpoint),
            ):
                with pytest.raises(errors.AccessDeniedError, match="s3://coco") as caught:
                    list(pipe)
                assert isinstance(caught.value, PermissionError)
                assert "check the credentials of the cluster" in caught.value.message
            assert time.monotonic() - start < SOON_S


@pytest.mark.parametrize(("scheme", "name"), [("az", "Azure"), ("gs", "GCP"), ("oci", "OCI")])
def test_a_backend_that_is_not_configured_is_named(
    aws_cluster: LocalCluster, scheme: str, name: str
) -> None:
    """A cloud that the cluster does not know is named, at once."""
    start = time.monotonic()
    for pipe in (
        AISFileLister([f"{scheme}://coco"], aws_cluster.endpoint),
        AISFileLoader([f"{scheme}://coco/a"], aws_cluster.endpoint),
    ):
        with pytest.raises(errors.RemoteBucketNotFoundError, match=f"{name} backend is missing"):
            list(pipe)
    assert time.monotonic() - start < SOON_S
