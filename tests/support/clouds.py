"""Clouds on this machine, for the nodes to reach: S3 by moto, Google's storage by fake-gcs-server.

Objects are put past AIStore and all code under test.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import boto3

from aisdatapipes.testing import ClusterStartError
from aisdatapipes.testing.access import Access
from aisdatapipes.testing.probe import answers, free_ports
from aisdatapipes.testing.process import KeptProcess
from aisdatapipes.testing.service import LocalService
from aisdatapipes.testing.startup import become_ready
from support.programs import find_fake_gcs

_START_S = 60.0
_MOTO = """
import signal, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("moto listens at", *server.get_host_and_port(), flush=True)
signal.pause()
"""


class MotoS3(LocalService):
    """S3 on a port that the system picks.

    Args:
        requests_without_key: After so many requests it wants keys that it knows, and knows none;
            None for never.
    """

    def __init__(self, requests_without_key: int | None = None) -> None:
        super().__init__()
        limit = {"INITIAL_NO_AUTH_ACTION_COUNT": str(requests_without_key)}
        self._variables = {} if requests_without_key is None else limit

    @property
    def environment(self) -> dict[str, str]:
        """What an AIStore node needs to use it."""
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        return {"S3_ENDPOINT": self.endpoint, "AWS_REGION": "us-east-1", **keys}

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._client().create_bucket(Bucket=name)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """Write an object."""
        self._client().put_object(Bucket=bucket, Key=name, Body=data)

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object."""
        self._client().delete_object(Bucket=bucket, Key=name)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )

    def _start_in(self, folder: Path) -> None:
        process = KeptProcess(folder / "moto", self._temporary)
        self._processes = [process]
        process.run([sys.executable, "-c", _MOTO], self._variables)
        deadline = time.monotonic() + _START_S
        become_ready([process], lambda: "moto listens" in process.output(), deadline)

    def _url(self) -> str:
        found = re.search(r"moto listens at (\S+) (\d+)", self._processes[0].output())
        assert found
        return f"http://{found[1]}:{found[2]}"


class FakeGCS(LocalService):
    """Google Cloud Storage, in memory, on a port that nobody else uses."""

    @property
    def environment(self) -> dict[str, str]:
        """What an AIStore node needs to use it."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint.removeprefix("http://")}

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        body = json.dumps({"name": name}).encode()
        send("POST", f"{self.endpoint}/storage/v1/b?project=tests", body)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """Write an object."""
        query = f"uploadType=media&name={quote(name, safe='')}"
        send("POST", f"{self.endpoint}/upload/storage/v1/b/{bucket}/o?{query}", data)

    def delete(self, bucket: str, name: str) -> None:
        """Remove an object."""
        send("DELETE", f"{self.endpoint}/storage/v1/b/{bucket}/o/{quote(name, safe='')}")

    def _start_in(self, folder: Path) -> None:
        process = KeptProcess(folder / "gcs", self._temporary)
        self._processes = [process]
        program = find_fake_gcs()
        for _ in range(5):
            [self._ports] = free_ports(1, Access())
            address = f"127.0.0.1:{self._ports.public}"
            options = {"scheme": "http", "host": "127.0.0.1", "port": f"{self._ports.public}"}
            options |= {"public-host": address, "external-url": f"http://{address}"}
            process.run([str(program), "-backend=memory", *_flags(options)], {})
            deadline = time.monotonic() + _START_S
            if become_ready([process], lambda: answers(self._ports, "/storage/v1/b"), deadline):
                return
        raise ClusterStartError("other programs took the port of fake-gcs-server, 5 times")

    def _url(self) -> str:
        return self._ports.url


def send(method: str, url: str, data: bytes = b"") -> None:
    """Send one request by plain HTTP; another status than 2xx raises."""
    with urlopen(Request(url, data, method=method), timeout=30) as answer:
        answer.read()


def _flags(options: Mapping[str, str]) -> list[str]:
    return [f"-{name}={value}" for name, value in options.items()]
