"""The two JSON files that a node reads: the cluster's, which all share, and its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aisdatapipes.testing.access import HOST, Access

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A node exits at once when one of these is missing.
_TIMEOUTS = {
    "cplane_operation": "1s",
    "max_keepalive": "2s",
    "cold_get_conflict": "5s",
    "max_host_busy": "10s",
    "startup_time": "30s",
    "join_startup_time": "1m",
    "send_file_time": "5m",
    "ec_streams_time": "10m",
    "object_md": "2h",
}
# A laptop's disk is often nearly full; that must neither evict objects nor refuse new ones.
_SPACE = {"cleanupwm": 96, "lowwm": 97, "highwm": 98, "out_of_space": 99}


@dataclass(frozen=True)
class Ports:
    """The two TCP ports on which a node listens, for clients and for the other nodes, and how."""

    public: int
    control: int
    access: Access = field(default_factory=Access)

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        return f"{self.access.scheme}://{HOST}:{self.public}"


@dataclass(frozen=True)
class ClusterConfiguration:
    """What is particular to one cluster.

    Attributes:
        backends: Cloud backends and their settings.
        access: Whether they serve HTTPS, and ask for tokens.
        control_host: Address at which they talk to each other.
    """

    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    access: Access = field(default_factory=Access)
    control_host: str = HOST

    def write(self, folder: Path, ports: Ports, primary_url: str) -> tuple[Path, Path]:
        """Write both files into a node's folder.

        Args:
            folder: The node's own folder; all its data stays below it.
            ports: Where the node listens.
            primary_url: Endpoint of the cluster's proxy.

        Returns:
            The paths of the cluster's file and of the node's.
        """
        for name in ("conf", "data", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cluster, node = folder / "cluster.json", folder / "node.json"
        cluster.write_text(json.dumps(self._cluster(primary_url), indent=1))
        node.write_text(json.dumps(_node(folder, ports, self.control_host), indent=1))
        return cluster, node

    def _cluster(self, primary_url: str) -> dict[str, Any]:
        tls = self.access.tls
        http = tls.section() if tls else {"use_https": False}
        auth = {"signature": {"method": "HMAC"}, "client_auth_required": True}
        return {
            "backend": self.backends,
            "timeout": _TIMEOUTS,
            "proxy": {
                "primary_url": primary_url,
                "original_url": primary_url,
                "discovery_url": primary_url,
                "non_electable": False,
            },
            "space": _SPACE,
            "memsys": {"min_free": "256mb", "default_buf": "32kb", "to_gc": "1gb", "hk_time": "3m"},
            "net": {"l4": {"proto": "tcp"}, "http": {**http, "chunked_transfer": True}},
            **({"auth": auth} if self.access.auth_secret else {}),
            # Unbuffered and in one place: the output of a node that fails tells why.
            "log": {"to_stderr": True},
        }


def read_ports(folder: Path, access: Access) -> Ports | None:
    """Return the ports that the node's file in `folder` names; None if there is no such file."""
    file = folder / "node.json"
    if not file.exists():
        return None
    net = json.loads(file.read_text())["host_net"]
    return Ports(int(net["port"]), int(net["port_intra_control"]), access)


def _node(folder: Path, ports: Ports, control_host: str) -> dict[str, Any]:
    return {
        "confdir": str(folder / "conf"),
        "log_dir": str(folder / "log"),
        "host_net": {
            "hostname": HOST,
            "hostname_intra_control": control_host,
            "port": str(ports.public),
            "port_intra_control": str(ports.control),
        },
        "fspaths": {},
        "test_fspaths": {"root": str(folder / "data"), "count": 1, "instance": 0},
    }
