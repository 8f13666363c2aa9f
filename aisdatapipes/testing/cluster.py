"""A real AIStore cluster of one proxy and some targets, as processes on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aisdatapipes.testing.access import HOST, Access
from aisdatapipes.testing.binary import find_aisnode, tags_of
from aisdatapipes.testing.configuration import ClusterConfiguration
from aisdatapipes.testing.errors import ClusterStartError
from aisdatapipes.testing.node import Node, Settings
from aisdatapipes.testing.probe import attach_remote, free_ports
from aisdatapipes.testing.service import LocalService
from aisdatapipes.testing.startup import end_all, have_started

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from aistore.sdk import Client

    from aisdatapipes.testing.configuration import Ports
    from aisdatapipes.testing.tls import ServerTLS

_ATTEMPTS = 5
# More than a keeper needs to notice that its parent was killed, and to end its node.
_LEAVE_S = 12.0


class LocalCluster(LocalService):
    """A real AIStore cluster on this machine: one proxy and `targets` targets.

    The processes end with the block, with an exception in it, and with this process, however it
    dies. The system picks the ports. The nodes see ``PATH``, a ``HOME`` of their own and
    `environment`, and nothing else of this process's environment. Everything goes over 127.0.0.1,
    but AIStore opens its port for clients on all interfaces, and has no setting against that: on a
    network that you do not trust, mind what `backends` would give away.

    Args:
        targets: Number of storage nodes.
        directory: Where the nodes keep everything, instead of a temporary folder. It stays
            afterwards, and a later cluster there, with at least as many targets, has the same
            buckets and objects, and the same ports if they are free. (If not, it needs half a
            minute; and some ten seconds if AIStore has objects to move between targets that were
            stopped.) One cluster at a time can use it. It can not be moved to another path.
        backends: Cloud backends and their settings, such as ``{"aws": {}}``; a missing
            ``aisnode`` is built with the tags that they need.
        build_tags: More tags that ``aisnode`` has to be built with, such as ``etl``.
        environment: Variables for the nodes, such as the credentials of a backend, or
            ``S3_ENDPOINT`` and ``STORAGE_EMULATOR_HOST`` for an emulated one.
        auth_secret: Ask clients for tokens that were signed with this secret, as those of an
            `AuthnServer` are.
        tls: Serve HTTPS, with these certificates.
        control_host: Address of this machine at which the nodes talk to each other. AIStore wants
            another one than 127.0.0.1 where it believes to be on Kubernetes.
        timeout_s: Seconds that the nodes have to become ready.

    Raises:
        ValueError: If `targets` is less than one.

    Example:
        >>> from aisdatapipes.testing import LocalCluster
        >>> with LocalCluster() as cluster:
        ...     bucket = cluster.client().bucket("photos").create()
        ...     bucket.object("a.txt").get_writer().put_content(b"hello")  # doctest: +ELLIPSIS
        ...     bucket.object("a.txt").get_reader().read_all()
        <...>
        b'hello'
    """

    def __init__(
        self,
        targets: int = 1,
        *,
        directory: str | os.PathLike[str] | None = None,
        backends: Mapping[str, Mapping[str, Any]] | None = None,
        build_tags: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        auth_secret: str | None = None,
        tls: ServerTLS | None = None,
        control_host: str = HOST,
        timeout_s: float = 60.0,
    ) -> None:
        if targets < 1:
            raise ValueError(f"a cluster needs at least one target, not {targets}")
        super().__init__(directory)
        self._count = targets
        self._tags = {*build_tags, *tags_of(backends or ())}
        self._access = Access(tls, auth_secret)
        self._configuration = ClusterConfiguration(backends or {}, self._access, control_host)
        self._environment = dict(environment or {})
        self._timeout_s = timeout_s
        self._nodes: list[Node] = []

    def client(self, token: str | None = None) -> Client:
        """Return a new SDK client of this cluster, with short timeouts and few retries.

        Args:
            token: What it shows to a cluster that asks for one; default an administrator's.
        """
        from aistore.sdk import Client
        from aistore.sdk.retry_config import RetryConfig

        retries = RetryConfig.default()
        retries.http_retry = retries.http_retry.new(total=2, backoff_factor=0.1)
        retries.network_retry = retries.network_retry.copy(
            stop=lambda state: state.attempt_number >= 3, wait=lambda _: 0.2
        )
        tls = self._access.tls
        client = Client(
            self.endpoint,
            ca_cert=str(tls.ca) if tls else None,
            client_cert=(str(tls.certificate), str(tls.key)) if tls else None,
            timeout=(5.0, 30.0),
            retry_config=retries,
            token=token or self._access.token(),
        )
        # Else requests lets $REQUESTS_CA_BUNDLE go before the certificate that it was given.
        client.bucket("any").client.session_manager.session.trust_env = False
        return client

    def attach(self, alias: str, endpoint: str) -> None:
        """Attach another cluster, whose buckets are then ``ais://@alias/bucket`` here.

        Returns when they can be read, some seconds later.

        Args:
            alias: Its name in this cluster.
            endpoint: Where the other cluster is; AIStore wants it to run now.

        Raises:
            ClusterStartError: If this cluster cannot reach the other one.
        """
        attach_remote(self._proxy.ports, alias, endpoint)

    def stop_target(self, index: int, *, kill: bool = False) -> None:
        """End one target and return when its process is gone; its data stays.

        Args:
            index: Which one, counted from 0.
            kill: End it by SIGKILL. Otherwise it leaves the cluster in good order first.
        """
        end_all([self._target(index)], force=kill)

    def start_target(self, index: int) -> None:
        """Start a stopped target again, with its data; returns when it serves.

        Args:
            index: Which one, counted from 0.

        Raises:
            ClusterStartError: If it ends or is not ready in time.
            RuntimeError: If it runs already.
        """
        target = self._target(index)
        if target.is_running:
            raise RuntimeError(f"target {index} runs already; stop it first")
        self._start([target], [target.ports])

    def _start_in(self, folder: Path) -> None:
        settings = Settings(
            find_aisnode(self._tags), self._temporary, self._configuration, self._environment
        )
        targets = [Node("target", folder / f"target{i}", settings) for i in range(self._count)]
        self._nodes = [Node("proxy", folder / "proxy", settings), *targets]
        self._processes = [*self._nodes]
        for node in self._nodes:
            node.wait_until_left(min(_LEAVE_S, self._timeout_s))
        fresh = self._free_ports(len(self._nodes))
        # A kept cluster map holds the old addresses: at those, the cluster is back at once.
        ports = [node.last_ports or new for node, new in zip(self._nodes, fresh, strict=True)]
        self._start(self._nodes, ports)

    def _url(self) -> str:
        return self._proxy.ports.url

    @property
    def _proxy(self) -> Node:
        return self._nodes[0]

    def _target(self, index: int) -> Node:
        targets = self._nodes[1:]
        if not 0 <= index < len(targets):
            raise IndexError(f"no target {index}; the local cluster has {len(targets)}")
        return targets[index]

    def _free_ports(self, count: int) -> list[Ports]:
        return free_ports(count, self._access)

    def _start(self, nodes: list[Node], ports: list[Ports]) -> None:
        for _ in range(_ATTEMPTS):
            if have_started(nodes, ports, self._proxy, self._timeout_s):
                return
            end_all(nodes, force=True)
            ports = self._free_ports(len(nodes))
        raise ClusterStartError(f"other programs took the ports of {nodes}, {_ATTEMPTS} times")
