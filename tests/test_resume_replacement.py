"""Content that an ``on_error`` function gives: stopped in it or behind it, the rest comes once."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISShardReader, Manifest, errors
from conftest import PutObject
from support.tars import shard

COUNT = 10
WHOLE = shard(0, COUNT)
BLOCK = 512
BROKEN = {
    "cut plain": WHOLE[: BLOCK * 4 * 6 + 300],
    "cut gzip": gzip.compress(WHOLE)[:-90],
    "garbage": b"garbage" * 300,
    "gone": b"",
}


def give(url: str, error: errors.AISPipeError) -> bytes:  # noqa: ARG001
    """Have the whole shard in its place."""
    return WHOLE


def name_of(found: tuple[str, Any]) -> str:
    """The basename."""
    return found[0]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("is_listed", [False, True], ids=["size unknown", "size known"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_stop_in_a_replacement(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: Any,
    broken: str,
    is_listed: bool,
    shuffle: bool,
) -> None:
    """After any number of samples: head and tail are the sequence without a stop."""
    put_object(ais_bucket, "0.tar", BROKEN[broken] or WHOLE)
    put_object(ais_bucket, "1.tar", shard(100, 2))
    urls = [f"ais://{ais_bucket.name}/{number}.tar" for number in range(2)]
    manifest = (
        Manifest.build(urls, client_url=ais_cluster.endpoint)
        if is_listed
        else Manifest.from_urls(urls)
    )
    if broken == "gone":
        ais_bucket.object("0.tar").delete()

    def reader() -> AISShardReader[str]:
        return AISShardReader(
            manifest=manifest,
            client_url=ais_cluster.endpoint,
            on_error=give,
            shuffle=shuffle,
            shuffle_buffer=3,
            transform=name_of,
        )

    expected = list(reader())
    assert sorted(expected) == [f"{number:04d}" for number in (*range(COUNT), 100, 101)]
    wrong = {}
    for stop in range(len(expected) + 1):
        stopped = reader()
        head = list(itertools.islice(stopped, stop))
        resumed = reader()
        resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
        tail = _names_or_error(resumed)
        if head + tail != expected:
            wrong[stop] = tail
    assert not wrong


def _names_or_error(reader: AISShardReader[str]) -> list[str]:
    try:
        return list(reader)
    except errors.AISPipeError as error:
        return [f"{type(error).__name__}: {error}"]
