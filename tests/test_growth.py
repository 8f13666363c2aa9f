"""What `make growth` measures and writes, with few objects and made-up figures."""

from __future__ import annotations

import json
from pathlib import Path

from aistore.sdk import Bucket

from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from growth.control import read_bare
from growth.page import write
from growth.steps import CONTROL, READ


def test_the_control_reads_what_is_named(
    ais_bucket: Bucket, ais_cluster: LocalCluster, put_object: PutObject
) -> None:
    """It asks for each of the objects, and what comes is at least as much as they hold."""
    for number in range(3):
        put_object(ais_bucket, f"{number}", b"0" * 10_000)
    names = ["2", "0"]
    assert 20_000 <= read_bare(ais_cluster.endpoint, ais_bucket.name, names) < 30_000


def test_reading_is_told_relative_to_the_control(tmp_path: Path) -> None:
    """Where the node gets slower, that is not the growth of reading; where reading does, it is."""
    objects = {10: {READ: 2.0, CONTROL: 1.0}, 20: {READ: 12.0, CONTROL: 6.0}}
    assert "| read: relative to the control | 2.00 times | 2.00 times |  | 1.00 |" in write(
        tmp_path, objects, {1: {READ: 1.0}}
    )
    objects[20][READ] = 18.0
    assert "| 2.00 times | 3.00 times |  | 1.50 (!) |" in write(tmp_path, objects, {1: {READ: 1.0}})
    assert json.loads((tmp_path / "growth.json").read_text())["objects"]["20"][READ] == 18.0
