"""The nodes of a local cluster: its proxies, one of which is the primary, and its targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aisdatapipes.testing.errors import ClusterStartError
from aisdatapipes.testing.node import Node, Settings
from aisdatapipes.testing.probe import free_ports, primary_url, why_not
from aisdatapipes.testing.startup import end_all, have_started

if TYPE_CHECKING:
    from pathlib import Path

    from aisdatapipes.testing.configuration import Ports

_ATTEMPTS = 5
# More than a keeper needs to notice that its parent was killed, and to end its node.
_LEAVE_S = 12.0


class Members:
    """All nodes of one cluster, running or not.

    Args:
        folder: Where each of them has a folder of its own.
        settings: What they share.
        timeout_s: Seconds that nodes have to become ready.
        port: Where the first proxy listens; None for where it did before, or any port.

    Attributes:
        proxies: The proxies; the first is the primary of a new cluster.
        targets: The targets.
    """

    def __init__(
        self, folder: Path, settings: Settings, timeout_s: float, port: int | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._timeout_s = timeout_s
        self._port = port
        self.proxies: list[Node] = []
        self.targets: list[Node] = []

    def add(self, role: str) -> Node:
        """Return a new node, ``proxy`` or ``target``, that does not run yet."""
        nodes = self._of(role)
        # The first proxy has no number: so it was called when there was but one.
        number = f"{len(nodes)}" if nodes or role == "target" else ""
        nodes.append(Node(role, self._folder / f"{role}{number}", self._settings))
        return nodes[-1]

    def node(self, role: str, index: int) -> Node:
        """Return one node.

        Raises:
            IndexError: If there is none of that number.
        """
        nodes = self._of(role)
        if not 0 <= index < len(nodes):
            raise IndexError(f"no {role} {index}; the local cluster has {len(nodes)}")
        return nodes[index]

    def primary(self) -> Node | None:
        """Return the primary as the proxies that run know it, which may have died; else None."""
        told = {primary_url(proxy.ports) for proxy in self.proxies if proxy.is_running}
        named = [proxy for proxy in self.proxies if proxy.ports.url in told]
        return max(named, key=lambda proxy: proxy.is_running, default=None)

    def start_all(self, primary: Node) -> None:
        """Start all nodes, in folders that nobody else uses, and return when they serve."""
        others = [proxy for proxy in self.proxies if proxy is not primary]
        nodes = [primary, *others, *self.targets]
        for node in nodes:
            node.wait_until_left(min(_LEAVE_S, self._timeout_s))
        self._start(nodes, primary)

    def start_one(self, node: Node) -> None:
        """Start one node in the cluster that runs; a proxy begins one where no other runs.

        Raises:
            ClusterStartError: If it ends or is not ready in time.
        """
        known = self.primary()
        running = [proxy for proxy in [known, *self.proxies] if proxy and proxy.is_running]
        self._start([node], node if known is node else next(iter(running), node))

    def _start(self, nodes: list[Node], primary: Node) -> None:
        # A kept cluster map holds the old addresses: at those, the cluster is back at once.
        fresh = self._free_ports(len(nodes))
        ports = [node.last_ports or new for node, new in zip(nodes, fresh, strict=True)]
        for _ in range(_ATTEMPTS):
            ports = self._with_wanted(nodes, ports)
            if have_started(nodes, ports, primary, self._timeout_s):
                return
            end_all(nodes, force=True)
            ports = self._free_ports(len(nodes))
        raise ClusterStartError(f"other programs took the ports of {nodes}, {_ATTEMPTS} times")

    def _with_wanted(self, nodes: list[Node], ports: list[Ports]) -> list[Ports]:
        """Give the first proxy the port that is wanted for it, if it is one of the nodes."""
        wanted, first = self._port, self.proxies[0]
        if wanted is None or first not in nodes:
            return ports
        if reason := why_not(wanted):
            raise ClusterStartError(
                f"cannot listen on port {wanted} ({reason}): end the program that does, or take "
                "another port"
            )
        at = nodes.index(first)
        return [*ports[:at], replace(ports[at], public=wanted), *ports[at + 1 :]]

    def _of(self, role: str) -> list[Node]:
        return self.proxies if role == "proxy" else self.targets

    def _free_ports(self, count: int) -> list[Ports]:
        return free_ports(count, self._settings.configuration.access)
