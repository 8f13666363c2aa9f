"""Ranges of an object that was opened: asked of the node that has it, and what if it fails."""

from __future__ import annotations

import random
import time

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings
from aisdatapipes.filesystem import AISFileSystem
from conftest import PutObject
from support.fault_rules import Refuse, Reset, Rule, Status
from support.faults import FaultProxy

CONTENT = random.Random(7).randbytes(2**21)
QUICK = Settings(first_backoff_s=0.01)
OF_PROXY = r"GET /v1/objects/[^?]*\?(?!.*pid=)"
OF_TARGET = r"GET /v1/objects/.*pid="


@pytest.fixture
def path(ais_bucket: Bucket, put_object: PutObject) -> str:
    """An object of 2 MiB with a name that has to be quoted."""
    put_object(ais_bucket, "a folder/%20;#?+", CONTENT)
    return f"{ais_bucket.name}/a folder/%20;#?+"


def read_in_windows(fs: AISFileSystem, path: str) -> bytes:
    """Read all of it, by more than ten ranges."""
    with fs.open(path, block_size=2**17) as file:
        return b"".join(iter(lambda: file.read(100_000), b""))


def test_the_proxy_is_asked_once(path: str, faults: FaultProxy) -> None:
    """It has told where the object is; the ranges that follow are asked there."""
    assert read_in_windows(AISFileSystem(faults.endpoint), path) == CONTENT
    assert (faults.count(OF_PROXY), faults.count(OF_TARGET)) == (1, 16)


def test_with_a_token_the_proxy_is_asked_each_time(path: str, faults: FaultProxy) -> None:
    """It is the one who looks at tokens, and one may be refused while a file is open."""
    assert read_in_windows(AISFileSystem(faults.endpoint, token="mine"), path) == CONTENT
    assert faults.count(OF_PROXY) == 16


@pytest.mark.parametrize(
    "rule",
    [Status(404), Status(416), Reset(), Refuse()],
    ids=["gone", "no such range", "reset", "hung up"],
)
def test_a_node_that_fails(path: str, faults: FaultProxy, rule: Rule) -> None:
    """The proxy is asked again, and everything is read."""
    fs = AISFileSystem(faults.endpoint, settings=QUICK)
    with fs.open(path, block_size=2**17) as file:
        begin = file.read(2**17)
        with faults.rule(rule):
            rest = file.read()
    assert begin + rest == CONTENT
    assert faults.hits(rule) == 1
    assert faults.count(OF_PROXY) == 2


def test_the_proxy_is_asked_again_after_a_moment(path: str, faults: FaultProxy) -> None:
    """An object may be elsewhere by then, and what is left behind must not be taken for it."""
    with AISFileSystem(faults.endpoint).open(path, block_size=2**17) as file:
        time.sleep(0.5)
        file.seek(2**20)
        file.read(1)
    assert faults.count(OF_PROXY) == 2
