"""A pytest plugin, there as soon as aisdatapipes is installed: a real cluster for your tests.

Example:
    .. code-block:: python

        from aisdatapipes import AISFileLister

        def test_my_pipeline(ais_cluster, ais_bucket):
            ais_bucket.object("a.txt").get_writer().put_content(b"hello")
            pipe = AISFileLister([f"ais://{ais_bucket.name}"], url=ais_cluster.endpoint)
            assert list(pipe) == [f"ais://{ais_bucket.name}/a.txt"]
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aistore.sdk import Bucket

    from aisdatapipes.testing import LocalCluster


@pytest.fixture(scope="session")
def ais_cluster() -> Iterator[LocalCluster]:
    """A `LocalCluster` of one proxy and one target, started once and shared by all tests.

    A test that stops targets should start a cluster of its own.
    """
    # Imported here: every run of pytest imports this module, few of them need a cluster.
    from aisdatapipes.testing import LocalCluster

    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def ais_bucket(ais_cluster: LocalCluster) -> Iterator[Bucket]:
    """An empty SDK `Bucket` with a name of its own, removed after the test with all it holds."""
    bucket = ais_cluster.client().bucket(f"test-{uuid.uuid4().hex}").create()
    yield bucket
    bucket.delete(missing_ok=True)
