"""The commands for files: run as users run them, against the real node."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes.cli import main
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Latency
from support.faults import FaultProxy
from support.processes import forked_command, heed_interrupts

FILES = {
    "a b/x y.txt": b"one\n",
    "q[1].txt": b"two\n",
    "q1.txt": b"three\n",
    "ü/ö.txt": b"four\n",
    "zero": b"",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(ais_cluster: LocalCluster, tmp_path: Path) -> Run:
    """Run a command in an empty folder."""

    def run(
        *arguments: str, code: int = 0, endpoint: str = "", **options: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {"AIS_ENDPOINT": endpoint or ais_cluster.endpoint, **options}
        done = forked_command(arguments, tmp_path, variables)
        assert done.returncode == code, done
        assert code == 0 or done.stderr.count("\n") == 1, done.stderr
        assert code != 0 or not done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files, and an empty one in it."""
    for name, content in FILES.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "in" / "empty").mkdir()
    return tmp_path / "in"


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, by its name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_there_and_back(run: Run, ais_bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    """Files of any name go to a bucket, to another folder of it, and come back as they were.

    A second time nothing is copied but what has changed, also where its size is the same.
    """
    url = f"ais://{ais_bucket.name}"
    assert "copied 5 files" in run("put", "in", f"{url}/p").stdout
    folder.joinpath("q1.txt").write_bytes(b"THREE\n")
    again = json.loads(run("put", "in", f"{url}/p", "--json").stdout)
    assert again == {"copied": 1, "bytes": 6, "unchanged": 4}
    assert "copied 5 files" in run("cp", "-r", f"{url}/p", f"{url}/c").stdout
    assert "copied 0 files (0 B)" in run("cp", "-r", f"{url}/p", f"{url}/c").stdout
    assert "copied 5 files" in run("get", f"{url}/c", "out").stdout
    tmp_path.joinpath("out", "zero").write_bytes(b"more")
    assert "copied 1 file (0 B) to out; 4 were" in run("get", f"{url}/c", "out").stdout
    assert contents(tmp_path / "out") == FILES | {"q1.txt": b"THREE\n"}


@pytest.mark.usefixtures("folder")
def test_one_file_patterns_and_several_sources(
    run: Run, ais_bucket: Bucket, tmp_path: Path
) -> None:
    """A single file takes the target's name; what a name or a pattern means is copied into it."""
    url = f"ais://{ais_bucket.name}"
    run("put", "in/q1.txt", f"{url}/one.txt")
    run("put", "in/q[1].txt", f"{url}/two/")  # by its name, where there is one
    run("put", "in/{a b,ü}", "in/z*", f"{url}/three")
    names = ["one.txt", "three/a b/x y.txt", "three/zero", "three/ü/ö.txt", "two/q[1].txt"]
    assert run("ls", "-r", url).stdout.splitlines() == [f"{url}/{name}" for name in names]
    run("get", f"{url}/t*/**/*.txt", f"{url}/one.txt", "out")
    assert sorted(contents(tmp_path / "out")) == ["one.txt", "q[1].txt", "x y.txt", "ö.txt"]
    run("cp", f"{url}/one.txt", "copy.txt")
    assert tmp_path.joinpath("copy.txt").read_bytes() == FILES["q1.txt"]
    same = run("cp", "in/q1.txt", "in/q[1].txt", f"{url}/two/q1.txt", "in/q1.txt", code=2)
    assert "all sources on one side" in same.stderr


def test_many_files_are_compared_by_one_listing(
    ais_bucket: Bucket, run: Run, faults: FaultProxy, tmp_path: Path
) -> None:
    """To find that nothing is to be copied takes no request for each file."""
    tmp_path.joinpath("in").mkdir()
    for number in range(100):
        tmp_path.joinpath("in", f"{number}").write_bytes(b"%d" % number)
    url = f"ais://{ais_bucket.name}/many"
    run("put", "in", url)
    assert "100 were there" in run("put", "in", url, endpoint=faults.endpoint).stdout
    assert len(faults.requests) < 20


def test_looking(run: Run, ais_bucket: Bucket, put_object: PutObject) -> None:
    """``ls``, ``du`` and ``cat`` tell what there is, to people and to programs."""
    url = f"ais://{ais_bucket.name}"
    for name, content in FILES.items():
        put_object(ais_bucket, f"p/{name}", content * 300)
    assert f"{url}/\n" in run("ls").stdout
    assert run("ls", f"{url}/p").stdout.splitlines()[0] == f"{url}/p/a b/"
    long = run("ls", "-lh", f"{url}/p/").stdout.splitlines()
    assert long[1].split()[:2] == ["1.8", "kB"]
    assert long[1].endswith(f"  {url}/p/q1.txt")
    entries = [json.loads(line) for line in run("ls", "--json", "-r", url).stdout.splitlines()]
    assert entries[0] == {"url": f"{url}/p/a b/x y.txt", "size": 1200, "type": "file"}
    assert run("du", "-h", url).stdout.split() == ["5.7", "kB", "5", url]
    assert run("cat", f"{url}/p/q[1].txt").stdout == "two\n" * 300
    assert run("cat", f"{url}/p/{{q1.txt,zero}}").stdout == "three\n" * 300


@pytest.mark.usefixtures("folder")
def test_buckets_and_removal(run: Run, ais_bucket: Bucket) -> None:
    """What a name or pattern means is removed, and nothing else; a bucket only if it is empty."""
    new = f"ais://{ais_bucket.name}-new"
    run("put", "in", new, "--create", "--dry-run")
    run("mb", new)
    run("put", "in", new, "--create")
    run("rm", f"{new}/q[1].txt")
    assert f"{new}/q1.txt" in run("ls", new).stdout.splitlines()
    assert "rm -r removes" in run("rm", f"{new}/ü", code=1).stderr
    run("rm", "-r", f"{new}/ü", f"{new}/q*")
    assert run("ls", "-r", new).stdout.splitlines() == [f"{new}/a b/x y.txt", f"{new}/zero"]
    assert "rb --force" in run("rb", new, code=1).stderr
    run("rm", "-r", new)
    run("rb", new)
    assert "no bucket" in run("ls", new, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["put", "in", "ais://nowhere-at-all/"], 1, "no bucket ais://nowhere-at-all"),
        (["put", "nothing", "ais://nowhere-at-all/"], 1, "no file or folder 'nothing'"),
        (["put", "in/empty", "{url}/"], 1, "no files in in/empty"),
        (["put", "in/zero", "{url}/a/../b"], 1, "no object can be read by the name"),
        (["put", "in/zero", "here"], 2, "put is from files to"),
        (["get", "{url}/none", "here"], 1, "no object 'none'"),
        (["get", "{url}/*.none", "here"], 1, "nothing matches"),
        (["cp", "in", "{url}/"], 1, "is a folder: cp -r"),
        (["rm", "-r", "ais://"], 1, "is all buckets"),
        (["rb", "--force", "{url}/folder"], 1, "is no bucket"),
        (["cat", "{url}/none"], 1, "no object 'none'"),
        (["ls", "ftp://x"], 1, "ftp"),
        (["ls", "--endpoint", "http://127.0.0.1:1"], 1, "no AIStore cluster answers"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_error_is_one_line(
    ais_cluster: LocalCluster,
    ais_bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """It names the thing, writes nothing to standard output, and shows no token."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    monkeypatch.setenv("AIS_AUTHN_TOKEN", "not-to-be-seen")
    # Else a command keeps SIGTERM for itself.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    try:
        ended = main([one.format(url=f"ais://{ais_bucket.name}") for one in arguments])
    except SystemExit as stop:
        ended = stop.code
    shown = capsys.readouterr()
    assert (ended, shown.out, shown.err.count("\n")) == (code, "", 1)
    assert shown.err.startswith(f"aisdatapipes {arguments[0]}: ")
    assert message in shown.err
    assert "not-to-be-seen" not in shown.err


def test_a_reader_that_goes_away(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """``cat | head`` ends silently."""
    put_object(ais_bucket, "big", bytes(5_000_000))
    command = f"{sys.executable} -m aisdatapipes cat ais://{ais_bucket.name}/big | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "AIS_ENDPOINT": ais_cluster.endpoint},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, b"\0", b"")


def test_an_interrupted_copy_leaves_no_half_file_and_goes_on(
    faults: FaultProxy, ais_bucket: Bucket, put_object: PutObject, run: Run, tmp_path: Path
) -> None:
    """After Ctrl-C what is there is whole; the same command copies the rest."""
    for number in range(6):
        put_object(ais_bucket, f"{number}", b"%d" % number * 9_000_000)
    command = ["get", f"ais://{ais_bucket.name}", "out", "-j", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aisdatapipes", *command],
        cwd=tmp_path,
        env={**os.environ, "AIS_ENDPOINT": faults.endpoint},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    out = tmp_path / "out"
    until = time.monotonic() + 30
    while not (out.exists() and list(out.glob("[0-9]"))) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "aisdatapipes get: stopped\n")
    found = contents(out)
    assert {name: len(content) for name, content in found.items()} == dict.fromkeys(
        found, 9_000_000
    )
    rest = json.loads(run(*command, "--json").stdout)
    assert rest["copied"] == 6 - len(found)
    assert rest["unchanged"] == len(found)


def test_progress_is_for_terminals(faults: FaultProxy, ais_bucket: Bucket, folder: Path) -> None:
    """Standard error shows how far it is where it is a terminal; the line goes at the end."""
    faults.rules.append(Latency(times=None, matches="PUT /v1/objects", seconds=0.2))
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "aisdatapipes", "put", str(folder), f"ais://{ais_bucket.name}"],
        env={**os.environ, "AIS_ENDPOINT": faults.endpoint},
        stdout=subprocess.PIPE,
        stderr=slave,
        check=True,
    )
    os.close(slave)
    shown = os.read(master, 10_000).decode()
    os.close(master)
    assert done.stdout.startswith(b"copied 5 files")
    assert " of 5 files, " in shown
    assert shown.endswith("\r\x1b[K")
