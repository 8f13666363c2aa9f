"""One ``aisnode`` process, started through its keeper."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aisdatapipes.testing.configuration import ClusterConfiguration, Ports, read_ports
from aisdatapipes.testing.process import KeptProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What all nodes of one cluster share.

    Attributes:
        binary: The ``aisnode`` program.
        litter: Folder to remove when the parent dies; None keeps everything.
        configuration: What the nodes are to be.
        environment: Variables for the nodes, on top of the scrubbed ones.
    """

    binary: Path
    litter: Path | None = None
    configuration: ClusterConfiguration = field(default_factory=ClusterConfiguration)
    environment: Mapping[str, str] = field(default_factory=dict)


class Node(KeptProcess):
    """A proxy or target, that can be stopped and started again on the same folder.

    Args:
        role: ``proxy`` or ``target``.
        folder: The node's own folder.
        settings: What it shares with the other nodes.
    """

    def __init__(self, role: str, folder: Path, settings: Settings) -> None:
        super().__init__(folder, settings.litter)
        self.ports = Ports(0, 0)
        self._has_moved = False
        self._role = role
        self._settings = settings

    def __repr__(self) -> str:
        return f"{self.folder.name} at {self.ports.url}"

    def start(self, ports: Ports, primary_url: str) -> None:
        """Start the process; it is not ready yet when this returns."""
        # A proxy takes its own old address out of a kept cluster map, unless targets come first.
        self._has_moved = self.last_ports not in (None, ports)
        self.ports = ports
        files = self._settings.configuration.write(self.folder, ports, primary_url)
        # Kept settings win over the file; without them the file counts, as in a new folder.
        (self.folder / "conf" / ".ais.conf").unlink(missing_ok=True)
        self.run(self._command(*files), self._variables(primary_url))

    @property
    def last_ports(self) -> Ports | None:
        """Where the node listened when it last ran in its folder, if ever."""
        return read_ports(self.folder, self._settings.configuration.access)

    def _variables(self, primary_url: str) -> dict[str, str]:
        secret = self._settings.configuration.access.auth_secret
        own = {"AIS_PRIMARY_EP": primary_url}
        if secret is not None:
            own["AIS_AUTHN_SECRET_KEY"] = secret
        return {**own, **self._settings.environment}

    def _command(self, cluster: Path, node: Path) -> list[str]:
        command = [str(self._settings.binary), f"-role={self._role}"]
        command += [f"-config={cluster}", f"-local_config={node}"]
        if self._role == "proxy" and not self._has_moved:
            # Not the default: it waits for targets that may still come, some ten seconds.
            command.append("-skip_startup")
        return command
