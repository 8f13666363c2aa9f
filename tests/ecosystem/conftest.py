"""What the tests of all libraries start from: an empty bucket, and users who work in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from aistore.sdk import Bucket

from aisdatapipes.testing import LocalCluster
from ecosystem.local_ray import local_ray
from support.processes import becomes, commands_with
from support.users import run_as_user


class AsUser(Protocol):
    """Calls a function in a Python of its own that has ``$AIS_ENDPOINT``."""

    def __call__(self, work: Any, *arguments: Any, endpoint: str = "", first: str = "") -> Any:
        """Return what the function returns."""
        ...


@pytest.fixture
def as_user(ais_cluster: LocalCluster) -> AsUser:
    """Calls a function as a user of the shared cluster; see `run_as_user`."""
    return partial(run_as_user, endpoint=ais_cluster.endpoint)


@pytest.fixture
def bucket(ais_bucket: Bucket) -> str:
    """The URL of an empty bucket."""
    return f"ais://{ais_bucket.name}"


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Path]:
    """The folder of a Ray of two cores on this machine; nothing of it outlives the module."""
    # Ray's sockets lie in it, whose paths have to be short.
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:
        with local_ray(temporary):
            yield Path(temporary)
        assert becomes(lambda: not commands_with(temporary))
