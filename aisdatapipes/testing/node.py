"""One ``aisnode`` process, started through its keeper."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisdatapipes.testing.configuration import Ports, read_ports, write_configuration
from aisdatapipes.testing.errors import ClusterStartError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEEPER = Path(__file__).with_name("keeper.py")
_TAIL_LINES = 20


@dataclass(frozen=True)
class Settings:
    """What all nodes of one cluster share.

    Attributes:
        binary: The ``aisnode`` program.
        litter: Folder to remove when the parent dies; None keeps everything.
        backends: Cloud backends and their settings.
        environment: Variables for the nodes, on top of the scrubbed ones.
    """

    binary: Path
    litter: Path | None = None
    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class Node:
    """A proxy or target, that can be stopped and started again on the same folder.

    Args:
        role: ``proxy`` or ``target``.
        folder: The node's own folder.
        settings: What it shares with the other nodes.
    """

    def __init__(self, role: str, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.ports = Ports(0, 0)
        self._has_moved = False
        self._role = role
        self._settings = settings
        self._keeper: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"{self.folder.name} at {self.ports.url}"

    def wait_until_left(self, timeout_s: float) -> None:
        """Return when no other process uses the folder; make it if need be.

        Raises:
            ClusterStartError: If one still does after `timeout_s` seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        while _is_locked(self.folder / "lock"):
            if time.monotonic() > deadline:
                raise ClusterStartError(
                    f"{self.folder} is in use by another local cluster; end that one first"
                )
            time.sleep(0.1)

    def start(self, ports: Ports, primary_url: str) -> None:
        """Start the process; it is not ready yet when this returns."""
        # A proxy takes its own old address out of a kept cluster map, unless targets come first.
        self._has_moved = self.last_ports not in (None, ports)
        self.ports = ports
        files = write_configuration(self.folder, ports, primary_url, self._settings.backends)
        (self.folder / "pid").unlink(missing_ok=True)
        # Kept settings win over the file; without them the file counts, as in a new folder.
        (self.folder / "conf" / ".ais.conf").unlink(missing_ok=True)
        with self._output.open("wb") as output:
            self._keeper = subprocess.Popen(
                [*self._keeper_command(), *self._node_command(*files)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment(primary_url),
                start_new_session=True,  # a Ctrl-C in the terminal is for the parent only
            )

    def end(self, *, force: bool = False) -> None:
        """Ask the process to end, or end it by SIGKILL; it may live on when this returns."""
        if self._keeper is not None:
            self._keeper.send_signal(signal.SIGUSR1 if force else signal.SIGTERM)

    def wait(self) -> None:
        """Return when the process and its keeper are gone."""
        if self._keeper is not None:
            self._keeper.wait()

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def last_ports(self) -> Ports | None:
        """Where the node listened when it last ran in its folder, if ever."""
        return read_ports(self.folder)

    @property
    def pids(self) -> list[int]:
        """The process ids of the keeper and of the node; empty when it does not run."""
        if self._keeper is None or not self.is_running:
            return []
        pid = self.folder / "pid"
        return [self._keeper.pid, *([int(pid.read_text())] if pid.exists() else [])]

    @property
    def has_port_clash(self) -> bool:
        """Whether somebody else took one of the ports before the node did."""
        return b"address already in use" in self._output.read_bytes()

    def tail(self) -> str:
        """The last lines of what the process wrote."""
        lines = self._output.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(lines) or "(no output)"

    @property
    def _output(self) -> Path:
        return self.folder / "output.log"

    def _keeper_command(self) -> list[str]:
        litter = str(self._settings.litter or "")
        # By path and isolated: `-m` would import the package, and torch with it.
        python = [sys.executable, "-I", "-S", str(_KEEPER)]
        return [*python, str(os.getpid()), str(self.folder), litter]

    def _node_command(self, cluster: Path, node: Path) -> list[str]:
        command = [str(self._settings.binary), f"-role={self._role}"]
        command += [f"-config={cluster}", f"-local_config={node}"]
        if self._role == "proxy" and not self._has_moved:
            # Not the default: it waits for targets that may still come, some ten seconds.
            command.append("-skip_startup")
        return command

    def _environment(self, primary_url: str) -> dict[str, str]:
        # Nothing else is passed on: AWS_CA_BUNDLE, AIS_* and the like change what a node does.
        path = os.environ.get("PATH", os.defpath)
        own = {"PATH": path, "HOME": str(self.folder), "AIS_PRIMARY_EP": primary_url}
        return {**own, **self._settings.environment}


def _is_locked(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
