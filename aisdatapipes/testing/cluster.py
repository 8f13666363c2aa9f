"""A real AIStore cluster of one proxy and some targets, as processes on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisdatapipes.testing.binary import find_aisnode
from aisdatapipes.testing.errors import ClusterStartError
from aisdatapipes.testing.node import Node, Settings
from aisdatapipes.testing.probe import free_ports
from aisdatapipes.testing.startup import end_all, have_started

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from aistore.sdk import Client

    from aisdatapipes.testing.configuration import Ports

_ATTEMPTS = 5
# More than a keeper needs to notice that its parent was killed, and to end its node.
_LEAVE_S = 12.0


class LocalCluster:
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
        backends: Cloud backends and their settings, such as ``{"aws": {}}``; they also decide with
            which tags a missing ``aisnode`` is built.
        environment: Variables for the nodes, such as the credentials of a backend.
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
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        if targets < 1:
            raise ValueError(f"a cluster needs at least one target, not {targets}")
        self._count = targets
        self._directory = directory
        self._backends = dict(backends or {})
        self._environment = dict(environment or {})
        self._timeout_s = timeout_s
        self._nodes: list[Node] = []
        self._temporary: Path | None = None
        self._owner: int | None = None

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """URL of the proxy, such as ``http://127.0.0.1:41001``.

        Raises:
            RuntimeError: If the cluster does not run.
        """
        return self._proxy.ports.url

    @property
    def pids(self) -> list[int]:
        """Ids of all processes that the cluster runs now: the nodes, and a keeper for each."""
        return [pid for node in self._nodes for pid in node.pids]

    def client(self) -> Client:
        """Return a new SDK client of this cluster, with short timeouts and few retries."""
        from aistore.sdk import Client
        from aistore.sdk.retry_config import RetryConfig

        retries = RetryConfig.default()
        retries.http_retry = retries.http_retry.new(total=2, backoff_factor=0.1)
        retries.network_retry = retries.network_retry.copy(
            stop=lambda state: state.attempt_number >= 3, wait=lambda _: 0.2
        )
        return Client(self.endpoint, timeout=(5.0, 30.0), retry_config=retries)

    def start(self) -> LocalCluster:
        """Start all nodes and return when they serve; ``with`` does this for you.

        Returns:
            The cluster itself.

        Raises:
            BinaryNotFoundError: If there is no ``aisnode`` and no Go to build it with.
            ClusterStartError: If a node ends or is not ready in time.
            RuntimeError: If the cluster runs already.
        """
        if self._nodes:
            raise RuntimeError(f"the local cluster at {self.endpoint} runs already")
        binary = find_aisnode(self._backends)
        self._owner = os.getpid()
        try:
            self._nodes = self._make_nodes(binary)
            self._start_all()
        except BaseException:
            end_all(self._nodes, force=True)
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all nodes and return when they are gone; a temporary folder goes too.

        Does nothing on a cluster that does not run, and in a forked child of the process that
        started it.
        """
        if self._owner != os.getpid():
            return
        try:
            # What is about to be removed needs no good order.
            end_all(self._nodes, force=self._temporary is not None)
        finally:
            self._nodes = []
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
                self._temporary = None

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

    def _start_all(self) -> None:
        for node in self._nodes:
            node.wait_until_left(min(_LEAVE_S, self._timeout_s))
        fresh = free_ports(len(self._nodes))
        # A kept cluster map holds the old addresses: at those, the cluster is back at once.
        ports = [node.last_ports or new for node, new in zip(self._nodes, fresh, strict=True)]
        self._start(self._nodes, ports)

    @property
    def _proxy(self) -> Node:
        if not self._nodes:
            raise RuntimeError("the local cluster does not run; use it in a `with` block")
        return self._nodes[0]

    def _target(self, index: int) -> Node:
        targets = self._nodes[1:]
        if not 0 <= index < len(targets):
            raise IndexError(f"no target {index}; the local cluster has {len(targets)}")
        return targets[index]

    def _make_nodes(self, binary: Path) -> list[Node]:
        if self._directory is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="aisdatapipes-"))
        folder = Path(self._directory or self._temporary or "").resolve()
        settings = Settings(binary, self._temporary, self._backends, self._environment)
        targets = [Node("target", folder / f"target{i}", settings) for i in range(self._count)]
        return [Node("proxy", folder / "proxy", settings), *targets]

    def _start(self, nodes: list[Node], ports: list[Ports]) -> None:
        for _ in range(_ATTEMPTS):
            if have_started(nodes, ports, self._proxy, self._timeout_s):
                return
            end_all(nodes, force=True)
            ports = free_ports(len(nodes))
        raise ClusterStartError(f"other programs took the ports of {nodes}, {_ATTEMPTS} times")
