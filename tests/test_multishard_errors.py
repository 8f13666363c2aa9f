"""Streams with shards that cannot be read: what is left is paired as it was."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import errors
from conftest import PutObject
from support.shard_streams import Streams, Tuples, content_at, error_of, flat, stateful
from support.tars import member, pack

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]

# Tuples 0-3, 4-8, 9-10, 11-16 in the first, 0-4, 5-8, 9-16 in the second.
SHIFTED = {"image": [4, 5, 2, 6], "mask": [5, 4, 8]}
ALIGNED = {"image": [4, 5, 2, 6], "mask": [4, 5, 2, 6]}

CASES = [
    (ALIGNED, "image-001.tar", range(4, 9)),
    (ALIGNED, "mask-001.tar", range(4, 9)),
    (SHIFTED, "image-001.tar", range(4, 9)),
    (SHIFTED, "image-000.tar", range(4)),
    (SHIFTED, "mask-001.tar", range(5, 9)),
    (SHIFTED, "mask-002.tar", range(9, 17)),
]


def without(tuples: Tuples, lost: range) -> Tuples:
    """Return the tuples whose numbers are not lost."""
    return [found for number, found in enumerate(tuples) if number not in lost]


def url_of(bucket: Bucket, name: str) -> str:
    """Return the URL of a shard."""
    return f"ais://{bucket.name}/{name}"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("sizes", "name", "lost"), CASES)
def test_a_missing_shard_is_skipped(
    ais_bucket: Bucket,
    put_object: PutObject,
    caplog: pytest.LogCaptureFixture,
    sizes: dict,
    name: str,
    lost: range,
    workers: int,
) -> None:
    """Its tuples are left out of all streams, counted and logged; it is reported once."""
    streams = Streams(ais_bucket, put_object, **sizes)
    dataset = streams.dataset(on_error="skip")
    ais_bucket.object(name).delete()
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        assert sorted(flat(stateful(dataset, workers))) == sorted(without(streams.tuples, lost))
    assert set(dataset.skipped_urls()) == {url_of(ais_bucket, name)}
    assert dataset.counters().dropped == len(lost) * 2
    if not workers:
        assert dataset.counters().skipped == 1
        assert f"skipped {url_of(ais_bucket, name)}" in caplog.text
        assert "left out" in caplog.text


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("sizes", "name", "number", "lost"),
    [
        (ALIGNED, "mask-003.tar", 3, range(14, 17)),
        (SHIFTED, "image-001.tar", 2, range(6, 9)),
        # The third shard of the first stream ends before the cut, the fourth one behind it.
        (SHIFTED, "mask-002.tar", 4, range(13, 17)),
    ],
)
def test_a_cut_shard_is_skipped_from_there_on(
    ais_bucket: Bucket,
    put_object: PutObject,
    sizes: dict,
    name: str,
    number: int,
    lost: range,
    workers: int,
) -> None:
    """Tuples before the cut are yielded; what the cluster lists of the shard misleads nobody."""
    streams = Streams(ais_bucket, put_object, **sizes)
    content = content_at(ais_bucket, name)
    stream, shard = name.split("-")[0], int(name[-7:-4])
    before = sum(sizes[stream][:shard])
    contents = streams.contents[streams.names.index(stream)][before : before + number]
    end = sum(512 + -(-len(one) // 512) * 512 for one in contents)
    put_object(ais_bucket, name, content[: end + 512 + 1])
    dataset = streams.dataset(on_error="skip")
    assert sorted(flat(stateful(dataset, workers))) == sorted(without(streams.tuples, lost))
    assert dataset.counters().dropped == len(lost) * 2


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["image-001.tar", "mask-001.tar"])
def test_a_missing_shard_raises(
    ais_bucket: Bucket, put_object: PutObject, name: str, workers: int
) -> None:
    """By default, with the name of the shard."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset()
    ais_bucket.object(name).delete()
    error = error_of(stateful(dataset, workers))
    assert isinstance(error, errors.ObjectNotFoundError)
    assert name in str(error)


def test_other_content_in_its_place(ais_bucket: Bucket, put_object: PutObject) -> None:
    """A function gives a tar to read instead; its files take the places of the shard's."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    replacement = pack([member(f"{number}", b"other %d" % number) for number in range(4)])
    asked = []

    def on_error(url: str, error: errors.AISPipeError) -> bytes:
        asked.append((url, type(error)))
        return replacement

    dataset = streams.dataset(on_error=on_error)
    ais_bucket.object("mask-001.tar").delete()
    expected: list[Any] = list(streams.tuples)
    for number in range(4):
        expected[5 + number] = (expected[5 + number][0], b"other %d" % number)
    assert [found for found in dataset] == expected  # noqa: C416 - list() would count first
    assert asked == [(url_of(ais_bucket, "mask-001.tar"), errors.ObjectNotFoundError)]
    assert dataset.counters().skipped == 0


def test_too_many(ais_bucket: Bucket, put_object: PutObject) -> None:
    """`max_errors` shards may be skipped, not one more."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    dataset = streams.dataset(on_error="skip", max_errors=1)
    ais_bucket.object("image-001.tar").delete()
    assert list(dataset) == without(streams.tuples, range(4, 9))
    ais_bucket.object("mask-003.tar").delete()
    with pytest.raises(errors.TooManyErrorsError):
        list(dataset)


def test_a_pairing_that_nobody_knows_is_an_error(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Two shards of one stream are gone, and the other stream has other borders."""
    streams = Streams(ais_bucket, put_object, **SHIFTED)
    dataset = streams.dataset(on_error="skip")
    for name in ("mask-000.tar", "mask-001.tar"):
        ais_bucket.object(name).delete()
    with pytest.raises(errors.BadArchiveError, match="nothing behind it can be paired"):
        next(iter(dataset))


def test_both_shards_of_a_pair_are_gone(ais_bucket: Bucket, put_object: PutObject) -> None:
    """With equal borders that moves nothing."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    dataset = streams.dataset(on_error="skip", shuffle=False)
    for name in ("mask-001.tar", "image-001.tar"):
        ais_bucket.object(name).delete()
    assert list(dataset) == without(streams.tuples, range(4, 9))


@pytest.mark.parametrize(("files", "word"), [(4, "fewer"), (6, "more")])
def test_a_shard_that_was_replaced(
    ais_bucket: Bucket, put_object: PutObject, files: int, word: str
) -> None:
    """Where the files of a shard were counted, it has to have so many when it is read."""
    streams = Streams(ais_bucket, put_object, **ALIGNED)
    dataset = streams.dataset(shuffle=True)
    put_object(ais_bucket, "mask-001.tar", pack([member(f"{n}", b"z") for n in range(files)]))
    error = error_of(dataset)
    assert isinstance(error, errors.BadArchiveError)
    assert f"mask-001.tar has {word} than the 5 files" in str(error)
