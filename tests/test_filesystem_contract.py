"""The filesystem passes fsspec's own suites, on one target and on two."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import LocalCluster


@pytest.fixture(scope="module", params=[1, 2], ids=["one target", "two targets"])
def cluster(request: pytest.FixtureRequest, ais_cluster: LocalCluster) -> Iterator[LocalCluster]:
    """The shared cluster, and one with two targets."""
    if request.param == 1:
        yield ais_cluster
        return
    with LocalCluster(request.param) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def bucket(cluster: LocalCluster) -> Iterator[str]:
    """A bucket of its own."""
    bucket = cluster.client().bucket("contract").create()
    yield bucket.name
    bucket.delete()


class Fixtures(AbstractFixtures):
    """What fsspec's suites have to know of a filesystem."""

    @pytest.fixture
    def fs(self, cluster: LocalCluster) -> AISFileSystem:
        """The filesystem."""
        return AISFileSystem(cluster.endpoint)

    @pytest.fixture
    def fs_path(self, bucket: str) -> str:
        """Where a test works: AIStore takes no object where a folder has been."""
        return f"{bucket}/{uuid4().hex}"

    @pytest.fixture
    def fs_join(self):
        """How paths are joined."""
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        """A folder is there with its first object."""
        return False


class TestCopy(Fixtures, AbstractCopyTests):
    """Files are copied in the cluster."""


class TestGet(Fixtures, AbstractGetTests):
    """Files are copied to the local disk."""


class TestPut(Fixtures, AbstractPutTests):
    """Files are copied from the local disk."""


class TestOpen(Fixtures, AbstractOpenTests):
    """Files are opened."""


class TestPipe(Fixtures, AbstractPipeTests):
    """Files are written at once."""
