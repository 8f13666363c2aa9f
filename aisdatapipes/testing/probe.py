"""What the nodes of a cluster say about themselves, asked over plain HTTP."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from aisdatapipes.testing.access import HOST, Access
from aisdatapipes.testing.configuration import Ports
from aisdatapipes.testing.errors import ClusterStartError

# A proxy learns aliases after targets do, and nothing tells when: it waits for twice the time-out
# "max_keepalive" (`_remais` in AIStore's ais/proxy.go), and then asks a target.
_ALIAS_S = 4.5

MOST_PORT = 2**16 - 1


def free_ports(nodes: int, access: Access) -> list[Ports]:
    """Return ports for `nodes` nodes that nobody uses right now, to be got at so."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2 * nodes)]
        for each in sockets:
            each.bind((HOST, 0))
        numbers = [each.getsockname()[1] for each in sockets]
    return [Ports(*pair, access) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def why_not(port: int) -> str:
    """Say why a node cannot listen on a port, which it does on all interfaces; empty if it can."""
    with socket.socket() as one:
        # As Go does: connections that have ended do not count.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("", port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def answers(server: Ports, path: str) -> bool:
    """Whether anything answers there, with whatever status."""
    try:
        return _ask(server, "GET", path)[0] > 0
    except (OSError, HTTPException):
        return False


def is_serving(node: Ports) -> bool:
    """Whether the node answers; it may not be ready yet."""
    return _get(node, "/v1/health") is not None


def are_ready(primary: Ports, others: list[Ports]) -> bool:
    """Whether the primary proxy serves, and each other node serves and is in the cluster map."""
    if _get(primary, "/v1/health?prr=true") is None:
        return False
    cluster = _cluster_map(primary)
    members = [*(cluster.get("tmap") or {}).values(), *(cluster.get("pmap") or {}).values()]
    urls = {member["public_net"]["direct_url"] for member in members}
    return all(
        node.url in urls and _get(node, "/v1/health?readiness=true") is not None for node in others
    )


def primary_url(node: Ports) -> str | None:
    """Return the endpoint of the primary proxy as a node knows it; None if it does not say."""
    primary = _cluster_map(node).get("proxy_si") or {}
    return (primary.get("public_net") or {}).get("direct_url")


def attach_remote(proxy: Ports, alias: str, url: str) -> None:
    """Make another cluster known to a cluster, and return when its buckets can be read there.

    Args:
        proxy: Of the cluster.
        alias: Name of the other cluster.
        url: Endpoint of the other cluster.

    Raises:
        ClusterStartError: If that fails; says what the proxy answered.
    """
    headers = {"Ais-Remote-Ais-Alias": alias, "Ais-Remote-Ais-Url": url}
    status, answer = _ask(proxy, "PUT", "/v1/cluster/attach?what=remote", headers)
    known = json.loads(_get(proxy, "/v1/cluster?what=remote") or b"{}").get("a") or []
    # Of a cluster that cannot be reached there is no map.
    if not any(remote["alias"] == alias and remote["smap"] for remote in known):
        said = answer.decode(errors="replace") if status != HTTPStatus.OK else "no answer there"
        raise ClusterStartError(f"{proxy.url} cannot attach {url} as {alias!r}: {said}")
    time.sleep(_ALIAS_S)


def _cluster_map(node: Ports) -> dict[str, Any]:
    return json.loads(_get(node, "/v1/daemon?what=smap") or b"{}")


def _get(node: Ports, path: str) -> bytes | None:
    try:
        status, body = _ask(node, "GET", path)
    except (OSError, HTTPException):
        return None
    return body if status == HTTPStatus.OK else None


def _ask(
    node: Ports, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = node.access.connection(node.public)
    try:
        connection.request(method, path, headers={**node.access.headers(), **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
