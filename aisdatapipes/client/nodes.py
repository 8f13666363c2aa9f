"""Nodes: which proxies and targets a cluster has, as its map says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["ClusterMap"]

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
        primary: Address of the proxy that decides who is in the cluster.
    """

    uuid: str
    version: int
    proxies: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    primary: str = ""

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
            _address_of(answer["proxy_si"]),
        )

    def without(self, leaving: frozenset[str]) -> ClusterMap:
        """Return what is left of it when some targets have gone in good order."""
        targets = {name: node for name, node in self.targets.items() if name not in leaving}
        return replace(self, targets=targets)


def _address_of(node: Mapping[str, Any]) -> str:
    return str(node["public_net"]["direct_url"])
