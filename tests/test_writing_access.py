"""Writing with tokens and by HTTPS, as reading does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings, errors
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.testing import LocalCluster
from aisdatapipes.writing.changes import delete_object
from aisdatapipes.writing.put import put_object
from support.certificates import make_certificates

SIZES = [10, 3500]
BLOCK = 1000

pytestmark = pytest.mark.usefixtures("no_token_variables")


def write(endpoint: str, settings: Settings, size: int) -> ObjectRequest:
    """Write an object of so many bytes into the bucket ``open``; return its request."""
    request = ObjectRequest.parse("ais://open/written #1?", endpoint, settings)
    with WritableFile(request, block_size=BLOCK) as file:
        file.write(bytes(size))
    return request


@pytest.mark.parametrize("size", SIZES)
def test_a_token_lets_write(authn_cluster: LocalCluster, token: str, size: int) -> None:
    """Who may write writes; who may only read is refused, and so is who has no token."""
    bucket: Bucket = authn_cluster.client().bucket("open")
    endpoint = authn_cluster.endpoint
    request = write(endpoint, Settings(token=bucket.client.token), size)
    assert request.ask_size() == size
    delete_object(request)
    with pytest.raises(errors.AccessDeniedError, match="cannot write 'written") as caught:
        write(endpoint, Settings(token=token), size)
    assert token not in str(caught.value)
    with pytest.raises(errors.AuthenticationError, match="cannot write 'written"):
        write(endpoint, Settings(), size)


@pytest.mark.parametrize("is_strict", [False, True])
def test_https_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_strict: bool
) -> None:
    """The authority and the client's certificate hold for every request of a writing."""
    certificates = make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    good = Settings(ca_cert=certificates.ca, client_cert=certificates.client)
    bad = [Settings()] + [Settings(ca_cert=certificates.ca)] * is_strict
    tls = certificates.tls(needs_client_certificate=is_strict)
    with LocalCluster(tls=tls) as cluster:
        cluster.client().bucket("open").create()
        for size in SIZES:
            assert write(cluster.endpoint, good, size).ask_size() == size
            for settings in bad:
                with pytest.raises(errors.CertificateError, match="cannot write"):
                    write(cluster.endpoint, settings, size)


Seen = list[tuple[str | None, str | None, bytes]]


class Witness(BaseHTTPRequestHandler):
    """Takes every PUT, or sends it on to `elsewhere`; keeps token, length and content."""

    seen: Seen
    elsewhere = ""

    def do_PUT(self) -> None:
        """Take note; what is sent on has no content yet."""
        length = self.headers["Content-Length"]
        content = b"" if self.elsewhere else self.rfile.read(int(length))
        self.seen.append((self.headers["Authorization"], length, content))
        self.send_response(307 if self.elsewhere else 200)
        if self.elsewhere:
            self.send_header("Location", self.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def witness(elsewhere: str = "") -> Iterator[tuple[str, Seen]]:
    """A server; gives its address and what it has seen."""
    seen: Seen = []
    handler = type("Handler", (Witness,), {"seen": seen, "elsewhere": elsewhere})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("query", "asked"), [("", ["0"]), ("&x=1&u=signature", ["0", "7"])])
def test_a_token_goes_to_the_endpoint_only(query: str, asked: list[str]) -> None:
    """The content goes to where the cluster sends it, the token does not.

    Where the cluster signs that address, it is told the length of the content, which it signs too.
    """
    with (
        witness() as (target, at_target),
        witness(f"{target}/v1/objects/b/o?pid=1{query}") as (endpoint, at_endpoint),
    ):
        settings = Settings(token="mine", max_retries=0)
        put_object(ObjectRequest.parse("ais://b/o", endpoint, settings), b"content", 7)
    assert at_endpoint == [("Bearer mine", length, b"") for length in asked]
    assert at_target == [(None, "7", b"content")]
