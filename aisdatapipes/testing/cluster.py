"""A real AIStore cluster of proxies and targets, as processes on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aisdatapipes.testing.access import HOST, Access
from aisdatapipes.testing.binary import find_aisnode, tags_of
from aisdatapipes.testing.configuration import ClusterConfiguration
from aisdatapipes.testing.members import Members
from aisdatapipes.testing.node import Settings
from aisdatapipes.testing.probe import MOST_PORT, attach_remote
from aisdatapipes.testing.service import LocalService
from aisdatapipes.testing.startup import end_all

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from aistore.sdk import Bucket, Client

    from aisdatapipes.testing.node import Node
    from aisdatapipes.testing.tls import ServerTLS


class LocalCluster(LocalService):
    """A real AIStore cluster on this machine: `targets` targets behind one proxy or more.

    The processes end with the block, with an exception in it, and with this process, however it
    dies. The system picks the ports. The nodes see ``PATH``, a ``HOME`` of their own and
    `environment`, and nothing else of this process's environment. Everything goes over 127.0.0.1,
    but AIStore opens its port for clients on all interfaces, and has no setting against that: on a
    network that you do not trust, mind what `backends` would give away.

    Args:
        targets: Number of storage nodes.
        proxies: Number of gateways; each serves everything, and the first is the primary.
        port: Where the first proxy listens, so that the endpoint is the same every time. The system
            picks all other ports, and this one by default.
        directory: Where the nodes keep everything, instead of a temporary folder. It stays
            afterwards, and a later cluster there, with at least as many nodes, has the same
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
        ValueError: If `targets` or `proxies` is less than one, or `port` is no port.

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
        proxies: int = 1,
        port: int | None = None,
        directory: str | os.PathLike[str] | None = None,
        backends: Mapping[str, Mapping[str, Any]] | None = None,
        build_tags: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        auth_secret: str | None = None,
        tls: ServerTLS | None = None,
        control_host: str = HOST,
        timeout_s: float = 60.0,
    ) -> None:
        for role, count in {"target": targets, "proxy": proxies}.items():
            if count < 1:
                raise ValueError(f"a cluster needs at least one {role}, not {count}")
        if port is not None and not 0 < port <= MOST_PORT:
            raise ValueError(f"{port} is no port: they go from 1 to {MOST_PORT}")
        super().__init__(directory)
        self._port = port
        self._roles = ["proxy"] * proxies + ["target"] * targets
        self._tags = {*build_tags, *tags_of(backends or ())}
        self._access = Access(tls, auth_secret)
        self._configuration = ClusterConfiguration(backends or {}, self._access, control_host)
        self._environment = dict(environment or {})
        self._timeout_s = timeout_s

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
        attach_remote(self._members.proxies[self.primary].ports, alias, endpoint)

    def erasure_coded(self, name: str, data_slices: int = 1, parity_slices: int = 1) -> Bucket:
        """Make a bucket whose objects outlive the loss of as many targets as it has parity slices.

        Args:
            name: Its name; what is written there is coded some moments later.
            data_slices: Parts that an object is cut in.
            parity_slices: Parts that may be lost; data and parity want a target each, and one more.
        """
        bucket = self.client().bucket(name)
        slices = {"data_slices": data_slices, "parity_slices": parity_slices}
        # A limit of 0 bytes: small objects are cut as well, and not kept as whole copies.
        coding = {"ec": {"enabled": True, "objsize_limit": 0, **slices}}
        bucket.make_request("post", action="create-bck", value=coding)
        return bucket

    def add_target(self) -> int:
        """Let one more target join, and return when it serves; AIStore moves objects to it then.

        Returns:
            Its number.

        Raises:
            ClusterStartError: If it ends or is not ready in time.
        """
        target = self._members.add("target")
        self._processes.append(target)
        self._start(target)
        return len(self._members.targets) - 1

    def stop_target(self, index: int, *, kill: bool = False) -> None:
        """End one target and return when its process is gone; its data stays.

        Args:
            index: Which one, counted from 0.
            kill: End it by SIGKILL. Otherwise it leaves the cluster in good order first.
        """
        end_all([self._members.node("target", index)], force=kill)

    def start_target(self, index: int) -> None:
        """Start a stopped target again, with its data; returns when it serves.

        Args:
            index: Which one, counted from 0.

        Raises:
            ClusterStartError: If it ends or is not ready in time.
            RuntimeError: If it runs already.
        """
        self._start(self._members.node("target", index))

    def pause_target(self, index: int) -> None:
        """Stop one target by SIGSTOP: it accepts connections, and answers nothing."""
        self._members.node("target", index).pause()

    def resume_target(self, index: int) -> None:
        """Let a paused target go on."""
        self._members.node("target", index).resume()

    def stop_proxy(self, index: int, *, kill: bool = False) -> None:
        """End one proxy and return when its process is gone.

        The others choose a new primary, if it was that one: some ten seconds later.

        Args:
            index: Which one, counted from 0.
            kill: End it by SIGKILL. Otherwise it leaves the cluster in good order first.
        """
        end_all([self._members.node("proxy", index)], force=kill)

    def start_proxy(self, index: int) -> None:
        """Start a stopped proxy again; returns when it serves.

        It joins the primary of the others. It is the primary if it was, and they have not chosen
        another one yet, or if no other runs.

        Args:
            index: Which one, counted from 0.

        Raises:
            ClusterStartError: If it ends or is not ready in time.
            RuntimeError: If it runs already.
        """
        self._start(self._members.node("proxy", index))

    def pause_proxy(self, index: int) -> None:
        """Stop one proxy by SIGSTOP: it accepts connections, and answers nothing."""
        self._members.node("proxy", index).pause()

    def resume_proxy(self, index: int) -> None:
        """Let a paused proxy go on."""
        self._members.node("proxy", index).resume()

    def restart(self, *, kill: bool = False) -> None:
        """End all nodes and start them again, where they were; returns when they serve.

        Args:
            kill: End them by SIGKILL.

        Raises:
            ClusterStartError: If one ends or is not ready in time.
        """
        members = self._members
        primary = members.primary() or members.proxies[0]
        end_all(self._processes, force=kill)
        members.start_all(primary)

    @property
    def endpoints(self) -> list[str]:
        """Where the proxies are, running or not, in the order of their numbers."""
        return [proxy.ports.url for proxy in self._members.proxies]

    @property
    def target_endpoints(self) -> list[str]:
        """Where the targets are, running or not, in the order of their numbers."""
        return [target.ports.url for target in self._members.targets]

    @property
    def primary(self) -> int:
        """Number of the primary as the proxies that run know it, dead or not; else 0."""
        members = self._members
        return members.proxies.index(members.primary() or members.proxies[0])

    def _start_in(self, folder: Path) -> None:
        settings = Settings(
            find_aisnode(self._tags), self._temporary, self._configuration, self._environment
        )
        self._all = members = Members(folder, settings, self._timeout_s, self._port)
        self._processes = [members.add(role) for role in self._roles]
        members.start_all(members.proxies[0])

    def _url(self) -> str:
        return self.endpoints[0]

    @property
    def _members(self) -> Members:
        self._check_running()
        return self._all

    def _start(self, node: Node) -> None:
        if node.is_running:
            raise RuntimeError(f"{node} runs already; stop it first")
        self._members.start_one(node)
