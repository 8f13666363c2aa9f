"""Tokens over time and in the wrong hands: they are renewed, and they do not get about."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aisdatapipes import AISFileLister, AISFileLoader, Settings, errors
from aisdatapipes.testing import AuthnServer, LocalCluster
from conftest import KEPT
from support.jwts import resign

pytestmark = pytest.mark.usefixtures("no_token_variables")
FORGED = "eyJhbGciOiJIUzI1NiJ9.e30.bm90LXNpZ25lZC1ieS1hbnlib2R5"


def loader(cluster: LocalCluster, settings: Settings, names: list[str] = KEPT) -> AISFileLoader:
    """Read objects of ``open``, each by its own request."""
    urls = [f"ais://open/{name}" for name in names]
    return AISFileLoader(urls, cluster.endpoint, max_batch=1, concurrency=1, settings=settings)


def read(pipe: AISFileLoader) -> list[str]:
    """Return what the objects hold."""
    return [stream.read().decode() for _, stream in pipe]


@pytest.mark.parametrize("first", ["expired", "no token", "forged"])
def test_a_file_is_read_again_when_its_token_is_replaced(
    authn_cluster: LocalCluster, authn: AuthnServer, token: str, first: str, tmp_path: Path
) -> None:
    """One pipe fails with the old token and goes on with the new one, in the same process."""
    old = {"expired": resign(token, authn.secret, -10), "no token": "guessed", "forged": FORGED}
    path = tmp_path / "token"
    path.write_text(old[first])
    pipe = loader(authn_cluster, Settings(token_file=path))
    with pytest.raises(errors.AuthenticationError):
        read(pipe)
    path.write_text(token)
    assert read(pipe) == KEPT


def test_a_job_outlives_its_token(
    authn_cluster: LocalCluster, authn: AuthnServer, token: str, tmp_path: Path
) -> None:
    """An epoch that begins with a short-lived token ends with its successor, without an error."""
    path = tmp_path / "token"
    path.write_text(resign(token, authn.secret, 3))
    items = iter(loader(authn_cluster, Settings(token_file=path)))
    names = [next(items)[1].read().decode()]
    successor = tmp_path / "successor"
    successor.write_text(token)
    successor.replace(path)
    time.sleep(4)
    names += [stream.read().decode() for _, stream in items]
    assert names == KEPT


def test_a_refused_token_is_looked_up_again_whatever_the_clock_says(
    authn_cluster: LocalCluster, authn: AuthnServer, token: str, tmp_path: Path
) -> None:
    """A file that was replaced within the clock's tick, at equal length, is noticed by the 401."""
    path = tmp_path / "token"
    old = resign(token, authn.secret, -10)
    good = resign(token, authn.secret, 3600)
    assert len(old) == len(good)
    path.write_text(old)
    stamp = path.stat()
    pipe = loader(authn_cluster, Settings(token_file=path), KEPT[:1])
    with pytest.raises(errors.AuthenticationError):
        read(pipe)
    with path.open("r+") as file:
        file.write(good)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert read(pipe) == KEPT[:1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read the token file"), ("", "holds no token"), ("two words", "holds no token")],
)
def test_a_bad_file_is_named(
    authn_cluster: LocalCluster, tmp_path: Path, content: str | None, words: str
) -> None:
    """A file that is missing or holds no token gives an error with its path, not its content."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.AuthenticationError, match=words) as caught:
        read(loader(authn_cluster, Settings(token_file=path)))
    assert str(path) in caught.value.message
    assert "two words" not in caught.value.message


@pytest.mark.parametrize("wrong", ["", "two words", "line\r\nInjected: header", "grün"])
def test_settings_refuse_what_is_no_token(wrong: str) -> None:
    """A token that no header can carry is refused at once, and not repeated."""
    with pytest.raises(ValueError, match="token is empty, or has") as caught:
        Settings(token=wrong)
    assert not wrong or wrong not in str(caught.value)


def test_settings_with_other_tokens_are_not_equal() -> None:
    """Two users of one process never share a client."""
    assert Settings(token="a") != Settings(token="b")
    assert Settings(token="a") == Settings(token="a")
    assert pickle.loads(pickle.dumps(Settings(token="a"))).token == "a"


class Witness(BaseHTTPRequestHandler):
    """Answers every request, or sends it on to `elsewhere`; keeps what it was shown."""

    seen: list[str | None]
    elsewhere = ""

    def do_GET(self) -> None:
        """Take note of the token."""
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(301 if self.elsewhere else 200)
        if self.elsewhere:
            self.send_header("Location", f"{self.elsewhere}{self.path}")
        body = b"" if self.elsewhere else b"data"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def witness(elsewhere: str = "") -> Iterator[tuple[str, list[str | None]]]:
    """A server; gives its address and the tokens that it was shown."""
    seen: list[str | None] = []
    handler = type("Handler", (Witness,), {"seen": seen, "elsewhere": elsewhere})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_token_goes_to_the_endpoint_and_nowhere_else(host: str) -> None:
    """On a redirect to another address, of the same machine or not, the token stays behind."""
    with (
        witness() as (outside, seen),
        witness(outside.replace("127.0.0.1", host)) as (endpoint, shown),
    ):
        pipe = AISFileLoader(["ais://b/o"], endpoint, settings=Settings(token="mine"))
        assert [stream.read() for _, stream in pipe] == [b"data"]
    assert set(shown) == {"Bearer mine"}
    assert set(seen) == {None}


def test_a_login_of_the_netrc_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``.netrc`` has for the machine is neither sent nor put in the token's place."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with witness() as (endpoint, shown):
        for settings in (Settings(token="mine"), Settings()):
            list(AISFileLoader(["ais://b/o"], endpoint, settings=settings))
    assert shown[0] == "Bearer mine"
    assert set(shown) == {"Bearer mine", None}


def test_a_token_is_shown_nowhere(
    authn_cluster: LocalCluster,
    authn: AuthnServer,
    token: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No ``repr``, message, traceback, counter or line of a log, DEBUG too, has a part of it."""
    caplog.set_level(logging.DEBUG)
    short = resign(token, authn.secret, 2)
    shown: list[object] = []
    for given in (token, FORGED, short, short):
        settings = Settings(token=given)
        lister = AISFileLister(["ais://open"], authn_cluster.endpoint, settings=settings)
        pipe = loader(authn_cluster, settings, [*KEPT, "gone"])
        closed = AISFileLoader(["ais://closed/a"], authn_cluster.endpoint, settings=settings)
        for each in (lister, pipe, closed):
            try:
                list(each)
            except errors.AISPipeError as error:
                shown += [error, repr(error), vars(error), pickle.dumps(error)]
                shown += traceback.format_exception(error)
            shown += [repr(each), str(each)]
        shown += [settings, pipe.counters(), pipe.skipped_urls()]
        if given is short:
            time.sleep(2.5)  # then the cluster, which knows it, repeats it in its answer
    text = "\n".join([*map(str, shown), caplog.text])
    assert "has expired" in text
    assert "insufficient permissions" in text
    for secret in (token, FORGED, short):
        assert not [part for part in secret.split(".") if len(part) > 10 and part in text]
