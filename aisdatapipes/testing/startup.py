"""Start nodes until they serve, and end them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aisdatapipes.testing.errors import ClusterStartError
from aisdatapipes.testing.probe import are_ready, is_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aisdatapipes.testing.configuration import Ports
    from aisdatapipes.testing.node import Node
    from aisdatapipes.testing.process import KeptProcess

_POLL_S = 0.05


def have_started(nodes: list[Node], ports: list[Ports], primary: Node, timeout_s: float) -> bool:
    """Start nodes and return when they serve.

    Args:
        nodes: What to start; the primary proxy, if it is one of them, comes first.
        ports: Where each of them is to listen.
        primary: The cluster's primary proxy; it runs, or is one of `nodes`.
        timeout_s: Seconds that all of it may take.

    Returns:
        False if another program took one of the ports; the nodes may run then.

    Raises:
        ClusterStartError: If a node ends or is not ready in time.
    """
    deadline = time.monotonic() + timeout_s
    address = ports[0] if primary in nodes else primary.ports
    for node, own in zip(nodes, ports, strict=True):
        node.start(own, address.url)
        # A target that finds no proxy sleeps for seconds before it tries again.
        if node is primary and not become_ready([node], lambda: is_serving(address), deadline):
            return False
    others = [node.ports for node in nodes if node is not primary]
    return become_ready(nodes, lambda: are_ready(address, others), deadline)


def end_all(nodes: Sequence[KeptProcess], *, force: bool = False) -> None:
    """End processes, in good order or by force, and return when all of them are gone."""
    for node in nodes:
        node.end(force=force)
    try:
        for node in nodes:
            node.wait()
    except BaseException:  # a second Ctrl-C: no more waiting for good order
        for node in nodes:
            node.end(force=True)
            node.wait()
        raise


def become_ready(
    nodes: Sequence[KeptProcess], is_done: Callable[[], bool], deadline: float
) -> bool:
    """Return when started processes serve.

    Args:
        nodes: The processes.
        is_done: Whether they serve.
        deadline: By when they have to, as `time.monotonic` counts.

    Returns:
        False if another program took one of the ports.

    Raises:
        ClusterStartError: If one ends or is not ready in time.
    """
    while time.monotonic() < deadline:
        if any(node.has_port_clash for node in nodes):
            return False
        _check_running(nodes)
        if is_done():
            return True
        time.sleep(_POLL_S)
    tails = "\n".join(f"{node}:\n{node.tail()}" for node in nodes)
    raise ClusterStartError(
        "the local cluster was not ready in time; raise timeout_s=, or see what its nodes "
        f"wrote last:\n{tails}"
    )


def _check_running(nodes: Sequence[KeptProcess]) -> None:
    for node in nodes:
        if not node.is_running:
            raise ClusterStartError(
                f"node {node} ended while it started; the last lines it wrote:\n{node.tail()}"
            )
