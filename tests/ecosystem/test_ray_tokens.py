"""Tokens: they reach the tasks, and nothing that can be read."""

from __future__ import annotations

from pathlib import Path
from traceback import format_exception

import pytest

from aisdatapipes import Settings, errors
from aisdatapipes.ray import read_ais
from aisdatapipes.testing import LocalCluster
from ecosystem.local_ray import EXPORTS
from support.fault_rules import Status
from support.faults import FaultProxy
from support.processes import becomes

pytestmark = [
    pytest.mark.usefixtures("no_token_variables"),
    pytest.mark.filterwarnings("default"),  # Ray warns of itself
]


def test_a_token_is_used_and_shown_nowhere(
    ray_cluster: Path, authn_cluster: LocalCluster, token: str
) -> None:
    """Not by datasets, their statistics and errors, nor in all the files of a Ray that exports.

    What it exports is there, so that a token in it would have been found.
    """
    settings = Settings(token=token)
    dataset = read_ais("ais://open/", endpoint=authn_cluster.endpoint, settings=settings)
    assert len(dataset.take_all()) == 12
    shown = f"{dataset!r} {dataset.materialize().stats()}"
    assert "ReadAIS" in shown
    assert token not in shown
    exported: list[bytes] = []

    def is_exported() -> bool:
        files = [path for path in ray_cluster.rglob("*") if path.is_file()]
        exported[:] = [path.read_bytes() for path in files]
        return any(b"ReadAIS" in text and b"_datasource" in text for text in exported)

    assert becomes(is_exported), f"Ray does not export any more where {EXPORTS} is set"
    beginning = token[:90].encode()  # Ray cuts what is longer than 100
    assert not any(beginning in text for text in exported)


def test_without_a_token(ray_cluster: Path, authn_cluster: LocalCluster) -> None:  # noqa: ARG001
    """The driver says so when it lists."""
    with pytest.raises(errors.AuthenticationError):
        read_ais("ais://open/", endpoint=authn_cluster.endpoint)


def test_a_refusal_in_a_task(ray_cluster: Path, authn_cluster: LocalCluster, token: str) -> None:  # noqa: ARG001
    """The error that comes to the driver has no token in it, in no part."""
    with FaultProxy(authn_cluster.endpoint) as proxy:
        dataset = read_ais("ais://open/", endpoint=proxy.endpoint, settings=Settings(token=token))
        refused = Status(403, matches="/v1/(ml|objects)/", times=None)
        with proxy.rule(refused), pytest.raises(errors.AccessDeniedError) as caught:
            dataset.take_all()
    assert token not in "".join(format_exception(caught.value))
