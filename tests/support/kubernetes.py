"""A stand-in for Kubernetes: as much of its API as AIStore's ETLs use, with processes as pods.

AIStore is real, and so are the web servers of the ETLs; only what starts those is stood in.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aisdatapipes.testing.access import HOST
from aisdatapipes.testing.service import LocalService
from aisdatapipes.testing.startup import end_all
from support.certificates import make_certificates
from support.kubernetes_pods import Pod, described, pod_of_node, service
from support.kubernetes_wire import environment_of, name_of
from support.service_account import in_service_account

_NAMESPACE = "tests"
_NODE_POD = "ais-target"
_POLL_S = 0.1


class KubernetesStandIn(LocalService):
    """The API over HTTPS, on a port that the system picks; its pods end with the block."""

    def __init__(self) -> None:
        super().__init__()
        self._pods: dict[str, Pod] = {}
        self._services: set[str] = set()
        self._lock = Lock()
        self._is_over = Event()

    @property
    def environment(self) -> dict[str, str]:
        """What AIStore's nodes need to use it, beside the files."""
        address = {"KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(self._port)}
        return {**address, "MY_NODE": "here", "MY_POD": _NODE_POD}

    @contextmanager
    def node_program(self, aisnode: Path) -> Iterator[Path]:
        """Yield a program that is `aisnode` with credentials for this API, within the block."""
        with in_service_account(self._account, aisnode) as program:
            yield program

    def pods(self) -> list[Pod]:
        """Return what runs now."""
        with self._lock:
            return list(self._pods.values())

    @property
    def pids(self) -> list[int]:
        """Ids of the processes of all pods, and a keeper for each."""
        return [pid for pod in self.pods() for pid in pod.pids]

    def stop(self) -> None:
        """End the pods and the API."""
        if self._owner is not None and not self._is_over.is_set():
            self._is_over.set()
            self._server.shutdown()
            self._server.server_close()
        self._processes = [*self.pods()]
        super().stop()

    def answer(self, method: str, path: list[str], query: dict[str, str], body: bytes) -> Any:
        """Return what the API answers; None for what is not there.

        Args:
            method: Of the request.
            path: Behind the namespace, split at slashes.
            query: As it came.
            body: As it came.
        """
        kind, *names = path
        if method == "POST":
            return self._create(kind, body)
        if names and method == "DELETE":
            return self._delete(kind, names[0])
        if names[1:] == ["log"]:
            return self._pods[names[0]].output() if names[0] in self._pods else None
        if names:
            return self._get(kind, names[0])
        return self._list(kind, query.get("fieldSelector", "").removeprefix("metadata.name="))

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield what becomes of a pod, whenever it changes, from its beginning on."""
        last = None
        while not self._is_over.wait(_POLL_S):
            pod = self._get("pods", name)
            if pod is not None and pod != last:
                yield {"type": "MODIFIED" if last else "ADDED", "object": pod}
                last = pod

    def _create(self, kind: str, body: bytes) -> dict[str, Any]:
        name = name_of(body)
        with self._lock:
            if kind == "services":
                self._services.add(name)
                return service(name, 0)
            pod = Pod(name, self._folder / f"{name}-{time.monotonic_ns()}", self._temporary)
            self._pods[name] = pod
            pod.serve(environment_of(body))
        return pod.seen()

    def _delete(self, kind: str, name: str) -> dict[str, Any] | None:
        found = self._get(kind, name)
        with self._lock:
            if kind == "services":
                self._services.discard(name)
            elif pod := self._pods.pop(name, None):
                end_all([pod], force=True)
        return found

    def _get(self, kind: str, name: str) -> dict[str, Any] | None:
        with self._lock:
            pod = self._pods.get(name)
            if kind == "services":
                return service(name, pod.port if pod else 0) if name in self._services else None
        if name == _NODE_POD:
            return pod_of_node(name)
        return pod.seen() if pod else None

    def _list(self, kind: str, name: str) -> dict[str, Any]:
        found = self._get(kind, name)
        title = "ServiceList" if kind == "services" else "PodList"
        return described(title, "", items=[found] if found else [])

    def _start_in(self, folder: Path) -> None:
        self._folder, self._account = folder, folder / "serviceaccount"
        certificates = make_certificates(folder)
        self._account.mkdir()
        (self._account / "token").write_text("no real token")
        (self._account / "namespace").write_text(_NAMESPACE)
        (self._account / "ca.crt").write_bytes(certificates.ca.read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates.server)
        self._server = _Server((HOST, 0), _Handler)
        self._server.api = self
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True).start()

    def _url(self) -> str:
        return f"https://{HOST}:{self._port}"


class _Server(ThreadingHTTPServer):
    """Serves one stand-in."""

    api: KubernetesStandIn
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    """Reads requests, and answers with JSON."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Read an object, a list of them, or what becomes of one."""
        self._answer()

    def do_POST(self) -> None:
        """Make an object."""
        self._answer()

    def do_DELETE(self) -> None:
        """Remove an object."""
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing: the output of the tests is no log."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path = url.path.removeprefix(f"/api/v1/namespaces/{_NAMESPACE}/").split("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert isinstance(self.server, _Server)
        if query.get("watch"):
            self._stream(self.server.api, query["fieldSelector"].removeprefix("metadata.name="))
            return
        found = self.server.api.answer(self.command, path, query, body)
        if found is None:
            status = {**described("Status", ""), "status": "Failure", "reason": "NotFound"}
            self._send(HTTPStatus.NOT_FOUND, json.dumps({**status, "code": 404}))
        else:
            text = found if isinstance(found, str) else json.dumps(found)
            self._send(HTTPStatus.CREATED if self.command == "POST" else HTTPStatus.OK, text)

    def _send(self, status: HTTPStatus, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, api: KubernetesStandIn, name: str) -> None:
        """Send events until the other side hangs up."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        try:
            for event in api.events(name):
                self.wfile.write(json.dumps(event).encode() + b"\n")
        except OSError:
            return
