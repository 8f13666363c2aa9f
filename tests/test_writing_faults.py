"""Writing over a bad network: the object is whole, or the one before, and no upload is left.

Everything is written through a `FaultProxy`, and every test asserts that its rule has struck.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.writing import replay
from aisdatapipes.writing.put import put_object
from conftest import PutObject
from support.fault_rules import Latency, Refuse, Reset, Rule, Status
from support.fault_writes import ChangeUpload, CutUpload, LateAnswer, LoseAnswer, Meanwhile
from support.faults import FaultProxy
from support.writing import QUICK, content_of, request_of, uploads_in

BLOCK = 30_000
OLD = b"the old one"
NEW = random.Random(5).randbytes(4 * BLOCK + 100)
SMALL = NEW[:BLOCK]

PUT = "PUT /v1/objects/.*pid="
PART = r"PUT .*partNumber=%d&pid="
ASK = r"PUT .*partNumber=\d$"
START = r"POST (?!.*uploadId).*pid="
COMPLETE: dict[str, Any] = {"matches": "POST .*uploadId=.*pid=", "holds": b"part-number"}
FOREVER_S = 60


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with one object, ``a``, that holds `OLD`."""
    put_object(ais_bucket, "a", OLD)
    return ais_bucket


def write(bucket: Bucket, faults: FaultProxy, data: bytes, retries: int = 2) -> None:
    """Write ``a`` through the proxy."""
    settings = replace(QUICK, max_retries=retries)
    with WritableFile(request_of(bucket, "a", faults.endpoint, settings), block_size=BLOCK) as file:
        file.write(data)


def test_the_proxy_is_asked_once_for_all_parts(bucket: Bucket, faults: FaultProxy) -> None:
    """It has told which node has the upload; the parts that follow go there at once."""
    write(bucket, faults, NEW)
    assert (faults.count(ASK), faults.count(PUT)) == (1, 5)
    assert content_of(bucket, "a") == NEW


def each_part(make: Callable[[str], Rule]) -> list[Rule]:
    """Return the rule for the first, one, and the last part."""
    return [make(PART % number) for number in (1, 3, 5)]


@pytest.mark.parametrize(
    "rule",
    [
        *each_part(lambda part: LoseAnswer(matches=part)),
        *each_part(lambda part: LateAnswer(FOREVER_S, matches=part)),
        *each_part(lambda part: CutUpload(50, matches=part)),
        *each_part(lambda part: Status(503, matches=part)),
        *each_part(lambda part: Status(500, matches=part)),
        *each_part(lambda part: Status(404, matches=part)),
        *each_part(lambda part: Refuse(matches=part)),
        *each_part(lambda part: Reset(matches=part)),
        *each_part(lambda part: Latency(FOREVER_S, matches=part)),
        *each_part(lambda part: ChangeUpload(17, matches=part)),
        LoseAnswer(times=2, matches=PART % 2),
        CutUpload(50, times=2, matches=PART % 2),
        Status(503, times=2, matches=ASK),
        Reset(times=2, matches=ASK),
        LoseAnswer(**COMPLETE),
        LateAnswer(FOREVER_S, **COMPLETE),
        Status(503, **COMPLETE),
        Status(404, **COMPLETE),
        Refuse(**COMPLETE),
        Latency(FOREVER_S, **COMPLETE),
        Status(503, matches=START),
        Refuse(matches=START),
        Reset(matches="HEAD .*pid="),
    ],
    ids=repr,
)
def test_a_big_object_survives(bucket: Bucket, faults: FaultProxy, rule: Rule) -> None:
    """A fault that passes costs time, and no byte; the cluster keeps no upload."""
    with faults.rule(rule):
        write(bucket, faults, NEW)
    assert faults.hits(rule) == rule.times
    assert content_of(bucket, "a") == NEW
    assert not uploads_in(bucket)


@pytest.mark.parametrize(
    "rule",
    [
        LoseAnswer(matches=PUT),
        LateAnswer(FOREVER_S, matches=PUT),
        CutUpload(50, matches=PUT),
        Status(503, times=2, matches=PUT),
        Status(429, matches=PUT),
        Refuse(matches=PUT),
        Reset(times=2, matches="PUT"),
        ChangeUpload(17, times=2, matches=PUT),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_small_object_survives(
    bucket: Bucket, faults: FaultProxy, rule: Rule, is_file: bool, tmp_path: Path
) -> None:
    """What goes by one request is sent again as a whole, from bytes and from files."""
    request = request_of(bucket, "a", faults.endpoint)
    (tmp_path / "file").write_bytes(b"before" + SMALL + b"after")
    with faults.rule(rule), (tmp_path / "file").open("rb") as file:
        file.seek(6)
        put_object(request, file if is_file else SMALL, len(SMALL))
    assert faults.hits(rule) == rule.times
    assert content_of(bucket, "a") == SMALL


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_answer_never_leaves_a_bad_object(
    bucket: Bucket, faults: FaultProxy, seed: int
) -> None:
    """A part that was stored and is not known to be is not sent to the same upload again."""
    rng = random.Random(seed)
    parts = rng.choices(range(1, 6), k=2)
    rules = [LoseAnswer(matches=PART % part) for part in parts]
    with faults.rule(rules[0]), faults.rule(rules[1]):
        write(bucket, faults, NEW)
    assert sum(map(faults.hits, rules)) == 2
    assert content_of(bucket, "a") == NEW
    assert not uploads_in(bucket)
    sent = [one.path.partition("?")[2] for one in faults.requests if "partNumber" in one.path]
    at_target = [path.partition("&utm=")[0] for path in sent if "pid=" in path]
    assert len(at_target) == len(set(at_target))


@pytest.mark.parametrize(
    "rule",
    [
        *each_part(lambda part: LoseAnswer(times=None, matches=part)),
        *each_part(lambda part: Status(503, times=None, matches=part)),
        *each_part(lambda part: ChangeUpload(17, times=None, matches=part)),
        Status(507, matches=PART % 2),
        Status(403, matches=PART % 2),
        Refuse(times=None, **COMPLETE),
        Status(500, times=None, **COMPLETE),
        Status(400, **COMPLETE),
        Reset(times=None, matches=ASK),
    ],
    ids=repr,
)
def test_a_fault_that_stays_is_an_error(bucket: Bucket, faults: FaultProxy, rule: Rule) -> None:
    """After all retries the object is as it was, and no upload is left."""
    with (
        faults.rule(rule),
        pytest.raises(errors.AISPipeError, match=r"'a' in ais://|reach|answers"),
    ):
        write(bucket, faults, NEW)
    assert faults.hits(rule)
    assert not uploads_in(bucket)
    if not isinstance(rule, ChangeUpload):  # damaged on the way, and known only afterwards
        assert content_of(bucket, "a") == OLD


def test_damage_is_never_silent(bucket: Bucket, faults: FaultProxy) -> None:
    """Bytes that are changed on the way each time are told, for one request and for many."""
    for data in (NEW, SMALL):
        rule = ChangeUpload(17, times=None, matches="PUT.*pid=")
        with (
            faults.rule(rule),
            pytest.raises((errors.ChecksumError, errors.ClusterError)) as caught,
        ):
            write(bucket, faults, data)
        assert "checksum" in caught.value.message.lower()
        assert faults.hits(rule) >= 3


@pytest.mark.parametrize("other", [OLD, NEW[::-1]])
def test_who_is_replaced_at_once_has_written(
    bucket: Bucket, faults: FaultProxy, put_object: PutObject, other: bytes
) -> None:
    """Somebody who writes the object whenever this one is done is no damage, and no error."""
    rule = Meanwhile(lambda: put_object(bucket, "a", other), times=None, matches="HEAD .*pid=")
    with faults.rule(rule):
        write(bucket, faults, NEW)
    assert faults.hits(rule) == 2
    assert content_of(bucket, "a") == other
    assert not uploads_in(bucket)


def test_without_room_for_a_copy_damage_is_told_as_such(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was changed on the way, and cannot be sent again, is not said to be unchanged."""
    monkeypatch.setattr(replay, "_LEFT_FREE", 2.0)
    rule = ChangeUpload(17, matches=PART % 2)
    with faults.rule(rule), pytest.raises(errors.ChecksumError, match="damaged on the way"):
        write(bucket, faults, NEW)
    assert faults.hits(rule) == 1


def test_without_room_for_a_copy_a_failure_changes_nothing(
    bucket: Bucket,
    faults: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk is told once; then a good day is good, and a failure is one that says so."""
    monkeypatch.setattr(replay, "_LEFT_FREE", 2.0)
    write(bucket, faults, NEW)
    assert content_of(bucket, "a") == NEW
    assert caplog.text.count("without a copy") == 1
    rule = LoseAnswer(matches=PART % 3)
    with faults.rule(rule), pytest.raises(errors.IncompleteWriteError, match="no room for a copy"):
        write(bucket, faults, NEW[::-1])
    assert content_of(bucket, "a") == NEW
    assert not uploads_in(bucket)


def test_a_lost_answer_to_complete_needs_no_copy(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object shows that it was completed, and where it was not, it is completed again."""
    monkeypatch.setattr(replay, "_LEFT_FREE", 2.0)
    for rule in (LoseAnswer(**COMPLETE), Refuse(**COMPLETE)):
        with faults.rule(rule):
            write(bucket, faults, NEW)
        assert faults.hits(rule) == 1
        assert content_of(bucket, "a") == NEW
        assert not uploads_in(bucket)


@pytest.mark.parametrize("seed", range(6))
def test_random_faults(bucket: Bucket, faults: FaultProxy, seed: int) -> None:
    """Whatever fails, and whether that is too much or not: whole or old, and no upload left."""
    rng = random.Random(seed)
    kinds = [
        lambda **options: LoseAnswer(**options),
        lambda **options: CutUpload(rng.randrange(BLOCK), **options),
        lambda **options: Status(rng.choice([500, 503, 429, 404]), **options),
        lambda **options: Refuse(**options),
    ]
    for number in range(4):
        data = rng.randbytes(rng.randrange(5 * BLOCK))
        before = content_of(bucket, "a")
        faults.rules[:] = [
            rng.choice(kinds)(
                times=rng.randrange(1, 3),
                **rng.choice(
                    [
                        {"matches": PUT},
                        {"matches": PART % rng.randrange(1, 5)},
                        {"matches": ASK},
                        COMPLETE,
                    ]
                ),
            )
            for _ in range(2)
        ]
        try:
            write(bucket, faults, data, retries=3)
            expected = {data}
        except errors.AISPipeError:
            expected = {before, data}
        faults.rules.clear()
        assert content_of(bucket, "a") in expected, number
        assert not uploads_in(bucket)
