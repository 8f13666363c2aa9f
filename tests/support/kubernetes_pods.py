"""Pods without Kubernetes: the web server of an ETL as a process, and what the API says of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from aisdatapipes.testing.access import HOST
from aisdatapipes.testing.process import KeptProcess

# What the image of AIStore's Python runtime does, on a port that the system picks.
_PROGRAM = """
import base64, errno, os, socket
import cloudpickle

server = cloudpickle.loads(base64.b64decode(os.environ["ETL_CLASS_PAYLOAD"]))
while True:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print("this pod serves at port", port, flush=True)
    try:
        server(host="127.0.0.1", port=port).start()
        break
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
"""
_PORT = re.compile(r"^this pod serves at port (\d+)$", re.MULTILINE)


class Pod(KeptProcess):
    """The process of one ETL on one target.

    Args:
        name: Of the pod.
        folder: Its own folder.
        litter: Folder to remove when this process dies.
    """

    def __init__(self, name: str, folder: Path, litter: Path | None) -> None:
        super().__init__(folder, litter)
        self.name = name
        self._was_ready = False

    def serve(self, environment: Mapping[str, str]) -> None:
        """Start the server of the ETL whose class is in the environment."""
        self.run([sys.executable, "-c", _PROGRAM], environment)

    @property
    def port(self) -> int:
        """Where it listens, or will; 0 if that is not known yet."""
        ports = _PORT.findall(self.output())
        return int(ports[-1]) if ports else 0

    @property
    def is_ready(self) -> bool:
        """Whether its server has answered the probe that AIStore asks Kubernetes for."""
        self._was_ready = self._was_ready or (bool(self.port) and _is_healthy(self.port))
        return self._was_ready and self.is_running

    def seen(self) -> dict[str, Any]:
        """Return what the API says of it now."""
        status: dict[str, Any] = {
            "phase": "Running" if self.is_running else "Failed",
            "hostIP": HOST,
        }
        ready = {"type": "Ready", "status": str(self.is_ready)}
        container = {"name": self.name, "image": "", "imageID": "", "restartCount": 0}
        state = {"running": {}} if self.is_running else {"terminated": self._end()}
        containers = [{**container, "ready": self.is_ready, "state": state}]
        status |= {"conditions": [ready], "containerStatuses": containers}
        status |= {} if self.is_running else {"message": self.tail()}
        return {**described("Pod", self.name), "status": status}

    def _end(self) -> dict[str, Any]:
        return {"exitCode": 1, "reason": "Error", "message": self.tail()}


def described(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """Return an object of the API."""
    return {"kind": kind, "apiVersion": "v1", "metadata": {"name": name}, **more}


def service(name: str, port: int) -> dict[str, Any]:
    """Return the service that makes a pod's port known."""
    ports = [{"port": 8000, "targetPort": 8000, "nodePort": port}]
    return described("Service", name, spec={"type": "NodePort", "ports": ports})


def pod_of_node(name: str) -> dict[str, Any]:
    """Return the pod that a node of AIStore takes for its own: its volumes are an ETL's too."""
    mount = {"name": "data", "mountPath": "/data"}
    container = {"name": "ais", "image": "ais", "volumeMounts": [mount]}
    spec = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    return described("Pod", name, spec=spec, status={"phase": "Running", "hostIP": HOST})


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
