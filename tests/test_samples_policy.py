"""Shards that cannot be read, or not to their end: skipped, replaced, counted."""

from __future__ import annotations

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISSampleLoader, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import member, pack, sample, shard


def test_a_bad_shard_is_skipped_and_counted(
    shard_urls: list[str], ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """With ``on_error="skip"`` all that can be read is: of a cut shard what is before the cut."""
    put_object(ais_bucket, "1.tar", shard(7, 7)[:5000])
    missing = f"ais://{ais_bucket.name}/9.tar"
    pipe = AISSampleLoader([*shard_urls, missing], ais_cluster.endpoint, on_error="skip")
    found = list(pipe)
    expected = [sample(n, shard_urls[n // 7]) for n in range(35)]
    assert found == expected[: len(found) - 21] + expected[14:]
    assert 21 + 7 < len(found) < 35
    assert pipe.skipped_urls() == [shard_urls[1], missing]
    assert (pipe.counters().objects, pipe.counters().skipped) == (5, 2)


def test_another_shard_in_place_of_a_bad_one(
    shard_urls: list[str], ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """What a function returns is read from the first sample on that had not come."""
    whole = shard(7, 7)
    put_object(ais_bucket, "1.tar", whole[:5000])
    seen: list[str] = []

    def read_copy(url: str, error: errors.AISPipeError) -> bytes:
        assert isinstance(error, errors.CutArchiveError)
        seen.append(url)
        return whole

    pipe = AISSampleLoader(shard_urls, ais_cluster.endpoint, on_error=read_copy)
    assert list(pipe) == [sample(n, shard_urls[n // 7]) for n in range(35)]
    assert seen == [shard_urls[1]]


def test_too_many_bad_shards(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """One more than ``max_errors`` raises."""
    urls = [f"ais://{ais_bucket.name}/{number}.tar" for number in range(3)]
    pipe = AISSampleLoader(urls, ais_cluster.endpoint, on_error="skip", max_errors=1)
    with pytest.raises(errors.TooManyErrorsError, match="2 objects failed and max_errors is 1"):
        list(pipe)


def test_members_of_no_sample_are_in_the_counters(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """They are counted over all shards."""
    members = [member("README", b"1"), member("a.jpg", b"2"), member(".b", b"3")]
    put_object(ais_bucket, "0.tar", pack(members))
    pipe = AISSampleLoader([f"ais://{ais_bucket.name}/0.tar"] * 2, ais_cluster.endpoint)
    assert len(list(pipe)) == 2
    assert pipe.counters().dropped == pipe.counters().left_out == 4
