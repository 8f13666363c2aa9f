"""Options of the loader over a bad network: what to do with errors, checksums, counters."""

from __future__ import annotations

import io
import itertools
import random
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISFileLoader, Settings, errors
from conftest import PutObject
from support.fault_edits import CorruptByte
from support.fault_rules import Cut, Latency, Refuse, Reset, Status
from support.faults import FaultProxy

SMALL = Settings(max_retries=2, first_backoff_s=0.01, max_backoff_s=0.05, read_timeout_s=2)
STREAMED = replace(SMALL, whole_object_bytes=0, read_ahead_bytes=1000)

READS = r"GET /v1/(objects|ml/moss)\b"
AT_TARGET = rf"{READS}.*[?&]pid="
CONTENTS = {f"{number:02d}": random.Random(number).randbytes(3000) for number in range(20)}
BAD = ["05", "13"]
"""Objects that nobody can read: their batches are broken there, their own GETs answered by 500."""


@pytest.fixture
def urls(ais_bucket: Bucket, put_object: PutObject) -> dict[str, str]:
    """The URLs of objects that hold `CONTENTS`, by their names."""
    for name, content in CONTENTS.items():
        put_object(ais_bucket, name, content)
    return {name: f"ais://{ais_bucket.name}/{name}" for name in CONTENTS}


@pytest.fixture
def bad(urls: dict[str, str], faults: FaultProxy) -> list[str]:
    """The URLs of the objects that cannot be read: those of `BAD`."""
    for name in BAD:
        batched = f"{urls[name].removeprefix('ais://')}".encode()
        faults.rules.append(CorruptByte(text=batched, times=None, matches="/v1/ml/moss/"))
        faults.rules.append(Status(500, times=None, matches=f"/v1/objects/[^/]*/{name}[?]"))
    return [urls[name] for name in BAD]


def read(pipe: Iterable[tuple[str, Any]]) -> list[tuple[str, bytes]]:
    """Return what `pipe` yields, read to the end."""
    return [(url, stream.read()) for url, stream in pipe]


def expected(urls: dict[str, str], *, without: list[str]) -> list[tuple[str, bytes]]:
    """Return what a pipe yields that leaves some URLs out."""
    return [(url, CONTENTS[name]) for name, url in urls.items() if url not in without]


@pytest.mark.parametrize("settings", [SMALL, STREAMED], ids=["small", "streamed"])
def test_skipping(
    urls: dict[str, str], bad: list[str], faults: FaultProxy, settings: Settings
) -> None:
    """What cannot be read is left out and told, all others come complete and in order."""
    missing = f"{urls['00']}-missing"
    pipe = AISFileLoader(
        [*urls.values(), missing], url=faults.endpoint, settings=settings, on_error="skip"
    )
    assert read(pipe) == expected(urls, without=bad)
    assert sorted(pipe.skipped_urls()) == sorted([*bad, missing])
    counters = pipe.counters()
    assert (counters.objects, counters.skipped) == (len(CONTENTS) - 2, 3)


def test_asking_what_to_do(urls: dict[str, str], bad: list[str], faults: FaultProxy) -> None:
    """A function of URL and error gives content in their place, or None to skip."""
    asked = []

    def decide(url: str, error: errors.AISPipeError) -> bytes | None:
        asked.append((url, type(error)))
        return b"instead" if url == bad[0] else None

    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL, on_error=decide)
    contents = [
        (url, b"instead" if url == bad[0] else content)
        for url, content in expected(urls, without=bad[1:])
    ]
    assert read(pipe) == contents
    assert asked == [(url, errors.ClusterError) for url in bad]
    assert pipe.skipped_urls() == bad[1:]


@pytest.mark.usefixtures("bad")
def test_raising_comes_at_the_objects_turn(urls: dict[str, str], faults: FaultProxy) -> None:
    """By default the first bad object raises, named in the error, after all that are before it."""
    objects = iter(AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL))
    assert [next(objects)[0] for _ in range(5)] == list(urls.values())[:5]
    with pytest.raises(errors.ClusterError) as caught:
        next(objects)
    assert caught.value.message.startswith(f"cannot read '{BAD[0]}' in ais://")
    assert faults.endpoint in caught.value.message


@pytest.mark.usefixtures("bad")
def test_too_many_errors(urls: dict[str, str], faults: FaultProxy) -> None:
    """Skipping ends at `max_errors`, and each iteration counts anew."""
    options = {"url": faults.endpoint, "settings": SMALL, "on_error": "skip"}
    enough = AISFileLoader(urls.values(), **options, max_errors=len(BAD))
    for _ in range(2):
        assert len(read(enough)) == len(CONTENTS) - len(BAD)
    with pytest.raises(errors.TooManyErrorsError, match=BAD[1]):
        read(AISFileLoader(urls.values(), **options, max_errors=len(BAD) - 1))


@pytest.mark.parametrize(
    ("rule", "error"),
    [(Refuse(), errors.ClusterUnreachableError), (Status(401), errors.AuthenticationError)],
    ids=repr,
)
def test_a_lost_cluster_is_not_skipped(
    urls: dict[str, str],
    faults: FaultProxy,
    rule: Refuse | Status,
    error: type[errors.AISPipeError],
) -> None:
    """Errors about the cluster raise whatever `on_error` says: an empty epoch helps nobody."""
    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL, on_error="skip")
    with faults.rule(replace(rule, times=None)), pytest.raises(error) as caught:
        read(pipe)
    assert faults.endpoint in caught.value.message
    assert pipe.skipped_urls() == []


def test_counters_tell_of_retries(urls: dict[str, str], faults: FaultProxy) -> None:
    """Objects and bytes count once, however often they were asked for; retries are counted."""
    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL)
    read(pipe)
    assert pipe.counters().retries == 0
    with faults.rule(Reset(matches=AT_TARGET)), faults.rule(Cut(2000, matches=AT_TARGET)):
        assert read(pipe) == expected(urls, without=[])
    counters = pipe.counters()
    assert counters.objects == 2 * len(CONTENTS)
    assert counters.bytes == 2 * sum(map(len, CONTENTS.values()))
    assert counters.retries >= 2


def test_corruption_is_noticed_by_checksum_only(urls: dict[str, str], faults: FaultProxy) -> None:
    """A flipped bit passes unless checksums are compared; then the object is read again."""
    flip = CorruptByte(text=CONTENTS["07"][:16], offset=2000, matches=READS)
    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL)
    with faults.rule(flip):
        assert read(pipe) != expected(urls, without=[])
    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=SMALL, verify="checksum")
    flip = replace(flip)
    with faults.rule(flip):
        assert read(pipe) == expected(urls, without=[])
    assert faults.hits(flip) == 1


@pytest.mark.parametrize(
    ("settings", "times"), [(SMALL, None), (STREAMED, 1)], ids=["small", "streamed"]
)
def test_corruption_that_cannot_be_mended_raises(
    urls: dict[str, str], faults: FaultProxy, settings: Settings, times: int | None
) -> None:
    """Where it stays, or the bytes of a stream are out already, a checksum error names both."""
    flip = CorruptByte(text=CONTENTS["07"][:16], offset=2000, matches=READS, times=times)
    pipe = AISFileLoader(urls.values(), url=faults.endpoint, settings=settings, verify="checksum")
    with faults.rule(flip), pytest.raises(errors.ChecksumError, match="'07' in ais://") as caught:
        read(pipe)
    assert faults.endpoint in caught.value.message


def test_unordered_reading_loses_nothing(urls: dict[str, str], faults: FaultProxy) -> None:
    """In any order, by batches and by single GETs, every object comes once and equal."""
    for max_batch in (1, 512):
        pipe = AISFileLoader(
            urls.values(), url=faults.endpoint, settings=SMALL, ordered=False, max_batch=max_batch
        )
        with (
            faults.rule(Latency(0.05, times=3, matches=AT_TARGET)),
            faults.rule(Reset(2000, times=2, matches=AT_TARGET)) as reset,
        ):
            assert sorted(read(pipe)) == expected(urls, without=[])
        assert faults.hits(reset) == 2


@pytest.fixture
def shards(ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy) -> AISFileLoader:
    """A pipe that streams one tar shard, with `CONTENTS` for its members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in CONTENTS.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    put_object(ais_bucket, "shard.tar", packed.getvalue())
    url = f"ais://{ais_bucket.name}/shard.tar"
    return AISFileLoader([url], url=faults.endpoint, settings=STREAMED)


@pytest.mark.parametrize("after_bytes", [512, 700, 10_240, 30_000])
def test_members_of_a_cut_shard(
    shards: AISFileLoader, faults: FaultProxy, after_bytes: int
) -> None:
    """A streamed tar that is cut, within a header too, still gives every member."""
    with faults.rule(Cut(after_bytes, matches=READS)) as cut:
        members = {name[-2:]: stream.read() for name, stream in shards.load_from_tar()}
    assert members == CONTENTS
    assert faults.hits(cut) == 1


@pytest.mark.filterwarnings(
    "ignore:Unable to extract files:UserWarning"
)  # of torchdata 0.9, then it raises
@pytest.mark.parametrize("after_bytes", [3584, 3700, 10_240])
def test_a_shard_that_stays_cut_raises(
    shards: AISFileLoader, faults: FaultProxy, after_bytes: int
) -> None:
    """It is an error where the members end, also at a header: never just fewer members.

    What was read ahead before the shard could not be read any more still comes.
    """
    with faults.rule(Cut(after_bytes, matches=READS)) as cut:
        members = iter(shards.load_from_tar())
        found = read(itertools.islice(members, 1))
        faults.rules.append(Refuse(times=None, matches=READS))
        with suppress(errors.ClusterUnreachableError):
            found += read(members)
            assert {name[-2:]: content for name, content in found} == CONTENTS
    assert faults.hits(cut) == 1
