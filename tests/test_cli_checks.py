"""The command that checks shards; how fast the program starts; and what the page of it shows."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes.cli import main
from aisdatapipes.cli.shard_report import report_on
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import shard

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"


@pytest.fixture(autouse=True)
def environment(ais_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point ``$AIS_ENDPOINT`` at the cluster, and keep SIGTERM from the commands."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def tar_of(*names: str, link: str = "") -> io.BytesIO:
    """Return a tar of files with one byte each, and maybe a link."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, names[0]
            tar.addfile(member)
    file.seek(0)
    return file


def test_a_sound_shard(
    ais_bucket: Bucket, put_object: PutObject, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """``inspect`` counts members, samples and bytes, of an object and of a file alike."""
    put_object(ais_bucket, "0.tar", shard(0, 7))
    tmp_path.joinpath("0.tar").write_bytes(shard(0, 7))
    reports = []
    for place in (f"ais://{ais_bucket.name}/0.tar", str(tmp_path / "0.tar")):
        assert main(["inspect", place, "--json"]) == 0
        reports.append(json.loads(capfd.readouterr().out))
    assert reports[0] == reports[1]
    assert (reports[0]["members"], reports[0]["samples"], reports[0]["problems"]) == (14, 7, [])
    assert reports[0]["extensions"] == {"jpg": 7, "cls": 7}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (tar_of("a.jpg", "b.jpg", "a.cls"), "1 keys that come back behind others: two samples"),
        (tar_of("a.jpg", "a.JPG"), "1 files twice in a sample: a.JPG"),
        (tar_of("README", "a.jpg"), "1 files without a key or an extension, left out: README"),
        (tar_of("a.jpg", link="b.jpg"), "1 links, which cannot be read forward: b.jpg"),
        (io.BytesIO(shard(0, 3)[:700]), "without the end mark of a tar"),
        (io.BytesIO(b"no tar" * 200), "is no tar archive"),
    ],
)
def test_a_shard_with_a_problem(file: io.BytesIO, problem: str) -> None:
    """What a reader would stumble over is named."""
    assert problem in " ".join(report_on(file, "x.tar").problems)


def test_inspect_fails_where_there_is_a_problem(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its exit code tells a script."""
    tmp_path.joinpath("cut.tar").write_bytes(shard(0, 3)[:700])
    assert main(["inspect", str(tmp_path / "cut.tar")]) == 1
    assert "problem: " in capfd.readouterr().out


def test_the_command_starts_at_once() -> None:
    """Without torch, the SDK or fsspec, in less than 0.3 s of a core: others work too."""
    check = (
        "import sys; from aisdatapipes.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'aistore', 'fsspec', 'requests'} & {*sys.modules}"
    )
    before = os.times()
    subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system
    assert used - before.children_user - before.children_system < 0.3


def test_the_page_shows_what_the_commands_do(tmp_path: Path) -> None:
    """Its blocks run, one after the other, and it names every command."""
    page = PAGE.read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    script = "".join(blocks).replace("aisdatapipes ", f"{sys.executable} -m aisdatapipes ")
    tmp_path.joinpath("photos").mkdir()
    tmp_path.joinpath("photos", "1.jpg").write_bytes(b"an image")
    tmp_path.joinpath("train-000000.tar").write_bytes(shard(0, 3))
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    usage = subprocess.check_output([sys.executable, "-m", "aisdatapipes", "--help"], text=True)
    commands = re.findall(r"^    ([a-z]+) ", usage, re.MULTILINE)
    assert len(commands) > 10
    assert [one for one in commands if f"`{one}`" not in page] == []
