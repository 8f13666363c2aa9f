"""Nodes: which proxies and targets a cluster has, as its map says, and what this process knows.

A process learns the map at its first good answer. Forked workers inherit what their parent
knows, and spawned ones get it with the `Endpoint` that they read from, so that a worker that starts
on a bad day knows that there is a cluster, who else can be asked, and which targets have to be
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aisdatapipes.processes.shared_file import is_child_being_started

__all__ = ["ClusterMap", "Endpoint", "KnownCluster", "known_cluster", "remember_cluster"]

# In the map's flags of a node: it is in maintenance, or about to leave; its data moves away.
_LEAVES = 1 << 2 | 1 << 3


@dataclass(frozen=True)
class ClusterMap:
    """The nodes of a cluster.

    Attributes:
        uuid: Of the cluster.
        version: It grows with every change.
        proxies: Their addresses, by their IDs.
        targets: Those that are to serve objects, likewise.
        leaving: IDs of targets in maintenance, or that are being taken out in good order.
    """

    uuid: str
    version: int
    proxies: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> ClusterMap:
        """Return the map in a node's answer.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        targets = answer["tmap"] or {}
        leaving = frozenset(name for name, node in targets.items() if node["flags"] & _LEAVES)
        return cls(
            str(answer["uuid"]),
            int(answer["version"]),
            {name: _address_of(node) for name, node in answer["pmap"].items()},
            {name: _address_of(node) for name, node in targets.items() if name not in leaving},
            leaving,
        )


@dataclass(frozen=True)
class KnownCluster:
    """What a process knows of the cluster at an endpoint.

    Attributes:
        others: Addresses of the same cluster that the user gave, beside the endpoint.
        nodes: The map, as it was last seen whole; None before the first good answer, and where
            there is no map, as what answers is no AIStore node.
    """

    others: tuple[str, ...] = ()
    nodes: ClusterMap | None = None

    def addresses(self, endpoint: str) -> list[str]:
        """Return where requests can go: what the user gave, then what the map names.

        Of the map only what is as safe as the endpoint: to an address without TLS nothing goes
        that was meant for one with it.
        """
        scheme = endpoint.partition("://")[0]
        named = self.nodes.proxies.values() if self.nodes else ()
        safe = (address for address in named if address.startswith(f"{scheme}://"))
        return list(dict.fromkeys([endpoint, *self.others, *safe]))


# A fork takes it along, and what is pickled for a worker: these are facts, and no connections.
_known: dict[str, KnownCluster] = {}


def known_cluster(endpoint: str) -> KnownCluster:
    """Return what this process knows of the cluster at `endpoint`."""
    return _known.get(endpoint, KnownCluster())


def remember_cluster(
    endpoint: str, nodes: ClusterMap | None = None, others: tuple[str, ...] = ()
) -> None:
    """Take note of a map, of further addresses, or of both; what is not given stays."""
    known = known_cluster(endpoint)
    _known[endpoint] = replace(known, nodes=nodes or known.nodes, others=others or known.others)


class Endpoint(str):
    """The address of a cluster, which takes along what is known of it to a worker process."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        known = known_cluster(self)
        # Elsewhere, and later, other nodes may be right.
        kept = known if is_child_being_started() else replace(known, nodes=None)
        return _with_knowledge, (str(self), kept)


def _with_knowledge(endpoint: str, known: KnownCluster) -> Endpoint:
    if endpoint not in _known and known != KnownCluster():
        _known[endpoint] = known
    return Endpoint(endpoint)


def _address_of(node: Mapping[str, Any]) -> str:
    return str(node["public_net"]["direct_url"])
