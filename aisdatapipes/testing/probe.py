"""What the nodes of a cluster say about themselves, asked over plain HTTP."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException

from aisdatapipes.testing.configuration import HOST, Ports

_TIMEOUT_S = 5.0


def free_ports(nodes: int) -> list[Ports]:
    """Return ports for `nodes` nodes that nobody uses right now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2 * nodes)]
        for each in sockets:
            each.bind((HOST, 0))
        numbers = [each.getsockname()[1] for each in sockets]
    return [Ports(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def is_serving(node: Ports) -> bool:
    """Whether the node answers; it may not be ready yet."""
    return _get(node, "/v1/health") is not None


def are_ready(proxy: Ports, targets: list[Ports]) -> bool:
    """Whether the proxy serves, and each target serves and is in the cluster map."""
    if _get(proxy, "/v1/health?prr=true") is None:
        return False
    answer = _get(proxy, "/v1/daemon?what=smap")
    members = json.loads(answer or b"{}").get("tmap") or {}
    urls = {member["public_net"]["direct_url"] for member in members.values()}
    return all(
        target.url in urls and _get(target, "/v1/health?readiness=true") is not None
        for target in targets
    )


def _get(node: Ports, path: str) -> bytes | None:
    connection = HTTPConnection(HOST, node.public, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
