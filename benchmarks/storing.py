"""Storing: buckets and objects by plain HTTP, as fast as one small machine can."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

__all__ = ["Store"]

_CONNECTIONS = 4
# What is sent before the answers are read: those are small, and wait in the socket.
_MOST_REQUESTS, _MOST_BYTES = 64, 2**22

Content = tuple[str, bytes]
"""Name and content of an object."""


class Store:
    """A cluster of one target, to be filled.

    Args:
        endpoint: Address of the cluster.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def allow_s3_clients(self) -> None:
        """Let the proxy fetch for S3 clients, of which most do not follow its redirects."""
        features = 1 << 13  # S3-Reverse-Proxy, in cmn/feat/feat.go of AIStore v1.5.0
        self._send("PUT", f"/v1/cluster/set-config?features={features}")

    def create_bucket(self, name: str, checksum: str = "xxhash2") -> None:
        """Make a bucket.

        Args:
            name: Its name.
            checksum: What its objects have. S3 clients want an ETag, which is of ``md5`` only.
        """
        action = {"action": "create-bck", "value": {"checksum": {"type": checksum}}}
        self._send("POST", f"/v1/buckets/{name}?provider=ais", action)

    def put_all(self, bucket: str, contents: Iterable[Content]) -> None:
        """Store objects by several connections, each of which sends many before it listens.

        Raises:
            OSError: The cluster refused one.
        """
        address, query = self._target_for(bucket)
        groups = _Groups(contents, f"/v1/objects/{bucket}/{{}}?{query}", address)
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            senders = [threads.submit(_send_all, address, groups) for _ in range(_CONNECTIONS)]
        for sender in senders:
            sender.result()

    def put_stream(self, bucket: str, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Store one big object that is made as it is sent."""
        address, query = self._target_for(bucket)
        connection = http.client.HTTPConnection(address)
        headers = {"Content-Length": str(size)}
        connection.request("PUT", f"/v1/objects/{bucket}/{name}?{query}", pieces, headers)
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise OSError(f"the cluster did not store {name!r}: {answer.read()!r}")
        connection.close()

    def _target_for(self, bucket: str) -> tuple[str, str]:
        """Return the target's address, and the query with which the proxy sends a PUT there."""
        proxy = http.client.HTTPConnection(urlsplit(self._endpoint).netloc)
        proxy.request("PUT", f"/v1/objects/{bucket}/any?provider=ais", b"")
        location = urlsplit(proxy.getresponse().headers["Location"])
        proxy.close()
        return location.netloc, location.query

    def _send(self, method: str, path: str, body: object = None) -> None:
        data = json.dumps(body).encode() if body else None
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self._endpoint}{path}", data, headers, method=method)  # noqa: S310
        urlopen(request).close()  # noqa: S310 - the address of our own cluster


class _Groups:
    """Turns contents into groups of requests, for several threads to take."""

    def __init__(self, contents: Iterable[Content], path: str, address: str) -> None:
        self._contents = iter(contents)
        self._head = f"PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {{}}\r\n\r\n"
        self._lock = threading.Lock()

    def take(self) -> list[bytes]:
        """Return the parts of the next requests, two for each; none at the end."""
        parts: list[bytes] = []
        size = 0
        with self._lock:
            while len(parts) < 2 * _MOST_REQUESTS and size < _MOST_BYTES:
                name, content = next(self._contents, ("", None))
                if content is None:
                    break
                parts += [self._head.format(name, len(content)).encode(), content]
                size += len(content)
        return parts


def _send_all(address: str, groups: _Groups) -> None:
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        while parts := groups.take():
            connection.sendall(b"".join(parts))
            _take_answers(connection, len(parts) // 2)


def _take_answers(connection: socket.socket, count: int) -> None:
    """Read as many answers, which have no body unless they are refusals."""
    received = b""
    while received.count(b"\r\n\r\n") < count:
        received += (piece := connection.recv(2**16))
        if not piece or received.count(b"HTTP/1.1 ") > received.count(b"HTTP/1.1 200 OK"):
            raise OSError(f"the cluster did not store an object: {received[-1000:]!r}")
