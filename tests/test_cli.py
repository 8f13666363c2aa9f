"""The command line, with real processes and signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aistore.sdk import Client

from aisdatapipes.cli import main
from support.processes import heed_interrupts


@pytest.fixture(autouse=True)
def signal_handler() -> Iterator[None]:
    """Give this process its SIGTERM handler back, which a command takes for its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def start_cluster(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the ``cluster`` command."""
    command = [sys.executable, "-m", "aisdatapipes", "cluster", "--directory", str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *options], stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_interrupts
    )


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cluster_serves_until_a_signal(tmp_path: Path, port: int, number: int) -> None:
    """It prints the line to export and serves; Ctrl-C or SIGTERM ends it and all its nodes.

    Started again, it has the same address and the same data.
    """
    address = f"http://127.0.0.1:{port}"
    for run in range(2):
        process = start_cluster(tmp_path, f"--port={port}")
        try:
            assert process.stdout
            assert process.stdout.readline() == f"export AIS_ENDPOINT={address}\n"
            bucket = Client(address).bucket("kept")
            if run == 0:
                bucket.create().object("a").get_writer().put_content(b"here")
            assert bucket.object("a").get_reader().read_all() == b"here"
            pids = [int(path.read_text()) for path in tmp_path.glob("*/pid")]
            assert len(pids) == 2
            process.send_signal(number)
            assert process.communicate(timeout=60) == ("", "aisdatapipes cluster: stopped\n")
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, in one line, and no other port is taken in its place."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["cluster", "--port", str(port)]) == 1
    assert capsys.readouterr() == (
        "",
        f"aisdatapipes cluster: cannot listen on port {port} (Address already in use): end the "
        "program that does, or take another port\n",
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none(capsys: pytest.CaptureFixture[str], port: str) -> None:
    """It is a wrong call."""
    with pytest.raises(SystemExit, match="2"):
        main(["cluster", f"--port={port}"])
    assert f"{port!r} is no port: they go from 1 to 65535" in capsys.readouterr().err


def test_node_prints_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``node`` finds the program that a cluster would run."""
    monkeypatch.setenv("AISNODE", sys.executable)
    assert main(["node"]) == 0
    assert capsys.readouterr().out == f"{Path(sys.executable).resolve()}\n"


@pytest.mark.parametrize("command", ["cluster", "node"])
def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """An error of ours comes without a traceback, and with exit code 1."""
    monkeypatch.setenv("AISNODE", "/nowhere")
    assert main([command]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"aisdatapipes {command}: $AISNODE names /nowhere")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--endpoint", "http://127.0.0.1:1"], "no AIStore cluster answers at"),
        (["--endpoint", "nowhere:port"], "no HTTP endpoint"),
        (["--endpoint", "http://127.0.0.1:1", "--images", "9"], "cannot use 9 images"),
    ],
)
def test_demo_reports_its_errors(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """What the demo raises becomes one line on stderr, and exit code 1."""
    assert main(["demo", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"aisdatapipes demo: {message}")
    assert captured.err.count("\n") == 1


def test_a_node_that_does_not_start_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a node's output that belongs to an error, the last line is shown."""
    monkeypatch.setenv("AISNODE", sys.executable)
    assert main(["cluster"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("aisdatapipes cluster: node proxy at http://127.0.0.1:")
    assert error.count("\n") == 1


@pytest.mark.parametrize("targets", ["0", "-1", "two"])
def test_cluster_needs_a_number_of_targets(
    capsys: pytest.CaptureFixture[str], targets: str
) -> None:
    """Anything but a positive number is refused before something starts."""
    with pytest.raises(SystemExit, match="2"):
        main(["cluster", f"--targets={targets}"])
    assert f"'{targets}' is no number from 1 on" in capsys.readouterr().err
