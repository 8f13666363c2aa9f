"""The pytest plugin, in a test session of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aisdatapipes.testing.binary import find_aisnode

pytest_plugins = ["pytester"]

TESTS = """
names = []

def read(bucket):
    return bucket.object("a").get_reader().read_all()

def test_one(ais_cluster, ais_bucket):
    names.append(ais_bucket.name)
    ais_bucket.object("a").get_writer().put_content(b"hello")
    assert read(ais_cluster.client().bucket(ais_bucket.name)) == b"hello"

def test_two(ais_cluster, ais_bucket):
    there = [bucket.name for bucket in ais_cluster.client().cluster().list_buckets()]
    assert there == [ais_bucket.name]
    assert ais_bucket.name not in names
    assert ais_bucket.list_all_objects() == []
"""


@pytest.fixture(scope="session")
def aisnode() -> Path:
    """The node program, looked up before pytester moves the home folder, and the cache with it."""
    return find_aisnode()


def test_fixtures_give_each_test_a_bucket(
    aisnode: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's tests share one real cluster; each has an empty bucket that goes afterwards."""
    monkeypatch.setenv("AISNODE", str(aisnode))
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_plugin_does_not_import_torch() -> None:
    """A test run that uses no fixture of ours does not pay for torch's import."""
    code = "import sys, pytest_aisdatapipes; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    """``pytest --fixtures`` lists both without anything to configure."""
    result = pytester.runpytest_inprocess("--fixtures")
    result.stdout.fnmatch_lines(
        ["ais_cluster *session scope*", "*one proxy and one target*", "ais_bucket *", "*removed*"]
    )
