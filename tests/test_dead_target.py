"""A target that died while its proxy is up: which node the errors name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from aisdatapipes import AISFileLoader, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

IMPATIENT = Settings(max_retries=0, connect_timeout_s=2, read_timeout_s=3, outage_deadline_s=0)
NAMES = [f"{number:02d}" for number in range(16)]


@pytest.fixture(scope="module")
def addresses(put_object: PutObject) -> Iterator[tuple[str, str]]:
    """The endpoint of a cluster that has the bucket ``b``, and the address of its dead target."""
    with LocalCluster(targets=2) as cluster:
        bucket = cluster.client().bucket("b").create()
        for name in NAMES:
            put_object(bucket, name, name.encode())
        members = requests.get(f"{cluster.endpoint}/v1/daemon?what=smap", timeout=10).json()
        cluster.stop_target(1, kill=True)
        targets = [node["public_net"]["direct_url"] for node in members["tmap"].values()]
        (dead,) = (address for address in targets if not is_listening(address))
        yield cluster.endpoint, dead


def is_listening(address: str) -> bool:
    """Whether a node answers at an address."""
    try:
        requests.get(f"{address}/v1/health", timeout=5)
    except requests.ConnectionError:
        return False
    return True


@pytest.mark.parametrize("max_batch", [512, 1])
def test_a_dead_target_is_named_and_not_the_proxy(
    addresses: tuple[str, str], max_batch: int
) -> None:
    """Whoever reads the message looks at the node that failed; the endpoint is named beside it."""
    endpoint, dead = addresses
    pipe = AISFileLoader(
        [f"ais://b/{name}" for name in NAMES], endpoint, max_batch=max_batch, settings=IMPATIENT
    )
    with pytest.raises(errors.ClusterUnreachableError) as caught:
        list(pipe)
    message = caught.value.message
    assert message.startswith(f"no node answers at {dead}, where the cluster at {endpoint} sent")
    assert "Connection refused" in message
