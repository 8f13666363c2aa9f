"""The shorter way of GETs: what requests does with redirects and the environment still holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISFileLoader, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject


class Roundabout(BaseHTTPRequestHandler):
    """Leads every request to where it came."""

    def do_GET(self) -> None:
        """Redirect."""
        self.send_response(307)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def roundabout() -> Iterator[str]:
    """The address of a server that leads nowhere."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Roundabout) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_redirects_that_lead_nowhere_end(roundabout: str) -> None:
    """They are followed as often as requests does, and then are an error that says so."""
    with pytest.raises(errors.ClusterError, match="more than 30 redirects"):
        list(AISFileLoader(["ais://b/o"], roundabout))


def test_proxies_of_the_environment_are_used(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    put_object: PutObject,
    unused_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests go through ``$http_proxy``, but to the hosts of ``$no_proxy``."""
    put_object(ais_bucket, "o", b"data")
    urls = [f"ais://{ais_bucket.name}/o"]
    monkeypatch.setenv("http_proxy", unused_endpoint)
    monkeypatch.setenv("no_proxy", "elsewhere")
    hasty = Settings(max_retries=0, outage_deadline_s=0)
    with pytest.raises(errors.ClusterUnreachableError, match="add the hosts of the cluster"):
        list(AISFileLoader(urls, ais_cluster.endpoint, settings=hasty))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    pipe = AISFileLoader(urls, ais_cluster.endpoint, settings=Settings(max_retries=1))
    assert [stream.read() for _, stream in pipe] == [b"data"]
