"""AIStore's own token server, as a process on this machine."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from aisdatapipes.testing.access import Access
from aisdatapipes.testing.binary import find_authn
from aisdatapipes.testing.configuration import Ports
from aisdatapipes.testing.errors import ClusterStartError
from aisdatapipes.testing.probe import answers, free_ports
from aisdatapipes.testing.process import KeptProcess
from aisdatapipes.testing.service import LocalService
from aisdatapipes.testing.startup import become_ready, end_all

if TYPE_CHECKING:
    from pathlib import Path

    from aistore.sdk.authn import AuthNClient

_ATTEMPTS = 5


class AuthnServer(LocalService):
    """AIStore's token server on this machine, with an administrator and no other users yet.

    It ends with the block, with an exception in it, and with this process, however it dies. Like
    the nodes of a `LocalCluster`, AIStore lets it listen on all interfaces.

    Args:
        timeout_s: Seconds that it has to become ready.

    Attributes:
        secret: What the tokens are signed with: the ``auth_secret=`` of a `LocalCluster`.
        user: Name of the administrator.
        password: The administrator's password, made up for each server.

    Example:
        >>> from aisdatapipes.testing import AuthnServer, LocalCluster
        >>> with AuthnServer() as authn, LocalCluster(auth_secret=authn.secret) as cluster:
        ...     admin = authn.client()
        ...     _ = admin.cluster_manager().register("mine", [cluster.endpoint])
        ...     cluster.client(admin.client.token).bucket("private").create().name
        'private'
    """

    user = "admin"

    def __init__(self, timeout_s: float = 30.0) -> None:
        super().__init__()
        self.secret = secrets.token_hex(32)
        self.password = secrets.token_urlsafe(16)
        self._timeout_s = timeout_s
        self._ports = Ports(0, 0)

    def client(self) -> AuthNClient:
        """Return a new SDK client of this server, logged in as the administrator."""
        from aistore.sdk.authn import AuthNClient

        client = AuthNClient(self.endpoint, timeout=(5.0, 30.0))
        client.login(self.user, self.password)
        return client

    def _start_in(self, folder: Path) -> None:
        program = find_authn()
        process = KeptProcess(folder / "authn", self._temporary)
        self._processes = [process]
        for _ in range(_ATTEMPTS):
            [self._ports] = free_ports(1, Access())
            process.run([str(program), f"-config={self._write(process.folder)}"], self._variables())
            deadline = time.monotonic() + self._timeout_s
            if become_ready([process], lambda: answers(self._ports, "/v1/users"), deadline):
                return
            end_all([process], force=True)
        raise ClusterStartError(f"other programs took the port of {process}, {_ATTEMPTS} times")

    def _url(self) -> str:
        return self._ports.url

    def _write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        configuration = {
            "log": {"dir": str(folder / "log"), "level": "3"},
            "net": {"http": {"port": self._ports.public}},
            "auth": {"expiration_time": "24h"},
            "timeout": {"default_timeout": "30s"},
        }
        path = folder / "authn.json"
        path.write_text(json.dumps(configuration, indent=1))
        return path

    def _variables(self) -> dict[str, str]:
        return {
            "AIS_AUTHN_SECRET_KEY": self.secret,
            "AIS_AUTHN_SU_NAME": self.user,
            "AIS_AUTHN_SU_PASS": self.password,
        }
