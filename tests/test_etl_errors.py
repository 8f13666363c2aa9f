"""ETLs that are not there, that fail, that are stopped: errors and the policies for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard
from aistore.sdk.etl import ETLConfig

from aisdatapipes import (
    AISDataset,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISMultiShardStream,
    AISSampleLoader,
    AISShardReader,
    AISSourceLister,
    Settings,
    errors,
)
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.etls import POISON, Buffer, PiecesByFlask, Turned, TurnedByFlask, start_etl, turned

GOOD = {f"good-{number}": f"content {number}".encode() for number in range(6)}
BAD = "good-3-and-poison"
IMPATIENT = Settings(first_backoff_s=0.01)


@pytest.fixture(scope="session")  # its tests may come in several parts
def bucket(etl_cluster: LocalCluster, put_object: PutObject) -> Bucket:
    """A bucket with the objects `GOOD`, and `BAD` among them, which ETLs fail on."""
    bucket = etl_cluster.client().bucket("poisoned").create()
    for name, content in {**GOOD, BAD: POISON}.items():
        put_object(bucket, name, content)
    return bucket


@pytest.fixture(scope="session")
def etls(etl_cluster: LocalCluster) -> None:
    """ETLs that fail on `POISON`, on several servers, run."""
    start_etl(etl_cluster, "fails-by-push", Turned)
    start_etl(etl_cluster, "fails-by-pull", Turned, "hpull")
    start_etl(etl_cluster, "fails-in-flask", TurnedByFlask)
    start_etl(etl_cluster, "fails-in-pieces", Buffer)
    start_etl(etl_cluster, "hangs-up-in-pieces", PiecesByFlask)


def urls(*names: str) -> list[str]:
    """Return the URLs of objects; of all if none is named."""
    return [f"ais://poisoned/{name}" for name in names or sorted({*GOOD, BAD})]


@pytest.mark.usefixtures("etls", "bucket")
@pytest.mark.parametrize(
    ("etl_name", "words"),
    [
        ("fails-by-push", "Internal error during transformation"),
        ("fails-by-pull", "Unhandled error: cannot turn poison"),
        ("fails-in-flask", "cannot turn poison"),
        ("fails-in-pieces", "it broke off in the middle"),
        ("hangs-up-in-pieces", "it broke off in the middle"),
    ],
)
def test_an_object_that_an_etl_fails_on(
    etl_cluster: LocalCluster, etl_name: str, words: str
) -> None:
    """The error names ETL, object, the ETL's own words and where to look; others are read."""
    pipe = AISFileLoader(urls(BAD), etl_cluster.endpoint, etl_name=etl_name, settings=IMPATIENT)
    with pytest.raises(errors.ETLFailedError) as caught:
        list(pipe)
    assert caught.value.message == (
        f"ETL {etl_name!r} made nothing of {BAD!r} in ais://poisoned at {etl_cluster.endpoint}: "
        f"{words}: see client.etl({etl_name!r}).logs()"
    )
    assert isinstance(caught.value, RuntimeError)
    skipping = AISFileLoader(urls(), etl_cluster.endpoint, etl_name=etl_name, on_error="skip")
    assert [url for url, _ in skipping] == urls(*GOOD)


@pytest.mark.usefixtures("etls")
def test_what_an_etl_fails_on_is_skipped_or_replaced(
    etl_cluster: LocalCluster, bucket: Bucket
) -> None:
    """The policies hold for pipes and datasets: skipped is counted, a function has content."""
    good = [turned(content) for content in GOOD.values()]
    options: dict[str, Any] = {"etl_name": "fails-by-push", "settings": IMPATIENT}
    pipe = AISFileLoader(urls(), etl_cluster.endpoint, on_error="skip", **options)
    assert [stream.read() for _, stream in pipe] == good
    assert (pipe.skipped_urls(), pipe.counters().skipped) == (urls(BAD), 1)

    dataset = AISIterDataset(bucket, on_error="skip", **options)
    assert [content for _, content in dataset] == good
    assert dataset.counters().skipped == 1

    mapped = AISMapDataset(bucket, on_error=lambda _, error: str(error).encode(), **options)
    found = dict(mapped.__getitems__(range(len(mapped))))
    assert found.pop(BAD).startswith(b"ETL 'fails-by-push' made nothing of")
    assert list(found.values()) == good
    with pytest.raises(errors.TooManyErrorsError, match="max_errors is 0"):
        list(AISIterDataset(bucket, on_error="skip", max_errors=0, **options))


@pytest.mark.usefixtures("etls", "bucket")
@pytest.mark.parametrize("is_pipeline", [False, True])
def test_an_etl_that_is_not_there(etl_cluster: LocalCluster, is_pipeline: bool) -> None:
    """An unknown ETL is an error that names it, also within a pipeline; the policies hold."""
    client = etl_cluster.client()
    unknown = client.etl("no-such-etl")
    etl = ETLConfig(client.etl("fails-by-push") >> unknown if is_pipeline else unknown)
    pipe = AISFileLoader(urls("good-1"), etl_cluster.endpoint, etl=etl)
    with pytest.raises(errors.ETLNotFoundError) as caught:
        list(pipe)
    assert caught.value.message.startswith(
        f"no ETL 'no-such-etl' to read 'good-1' in ais://poisoned at {etl_cluster.endpoint} through"
    )
    assert isinstance(caught.value, LookupError)
    assert caught.value.status_code == 404
    skipping = AISFileLoader(urls("good-1"), etl_cluster.endpoint, etl=etl, on_error="skip")
    assert list(skipping) == []
    assert skipping.skipped_urls() == urls("good-1")


@pytest.mark.usefixtures("bucket")
def test_an_etl_that_is_stopped_is_missed_and_goes_on_when_started(
    etl_cluster: LocalCluster,
) -> None:
    """Stopped between two objects, it is an error that names it; started, the rest is read."""
    etl = etl_cluster.client().etl(start_etl(etl_cluster, "to-be-stopped", Turned))
    names = list(GOOD)
    pipe = AISFileLoader(
        urls(*names), etl_cluster.endpoint, etl_name=etl.name, concurrency=1, settings=IMPATIENT
    )
    first = iter(pipe)
    assert next(first)[1].read() == turned(GOOD[names[0]])
    etl.stop()
    with pytest.raises(errors.ETLNotFoundError, match="no ETL 'to-be-stopped' to read 'good-"):
        list(first)
    etl.start()
    assert [stream.read() for _, stream in pipe] == [turned(data) for data in GOOD.values()]


@pytest.mark.usefixtures("etls", "bucket")
def test_a_missing_object_is_no_error_of_the_etl(etl_cluster: LocalCluster) -> None:
    """An object that is not there is told as one, through every kind of ETL."""
    for name in ("fails-by-push", "fails-by-pull", "fails-in-flask"):
        pipe = AISFileLoader(urls("gone"), etl_cluster.endpoint, etl_name=name)
        with pytest.raises(errors.ObjectNotFoundError, match="no object 'gone'"):
            list(pipe)


def paired(bucket: Bucket, etl_name: str | None = None, **options: Any) -> AISMultiShardStream:
    """A stream whose source has the name of the ETL."""
    source = DataShard(bucket.client.base_url, bucket.name, etl_name=etl_name)  # pyright: ignore[reportArgumentType]
    return AISMultiShardStream([source], **options)


READERS: dict[str, Callable[..., object]] = {
    "load_files_by_ais": lambda _, **options: AISFileLoader([], "localhost:1", **options),
    "load_samples_by_ais": lambda _, **options: AISSampleLoader([], "localhost:1", **options),
    "ais_list_sources": AISSourceLister,
    "AISMapDataset": AISMapDataset,
    "AISDataset": lambda bucket, **options: AISDataset(ais_source_list=bucket, **options),
    "AISIterDataset": AISIterDataset,
    "AISShardReader": AISShardReader,
    "AISMultiShardStream": paired,
}


@pytest.mark.parametrize("name", READERS)
def test_two_etls_are_refused(name: str, ais_bucket: Bucket) -> None:
    """`etl_name` beside `etl` is an error, as is an `etl` without name or of another type."""
    with pytest.raises(ValueError, match="both etl_name='one-etl' and etl= are given"):
        READERS[name](ais_bucket, etl_name="one-etl", etl=ETLConfig("another"))
    with pytest.raises(ValueError, match="etl has no name"):
        READERS[name](ais_bucket, etl=ETLConfig(args="x"))
    with pytest.raises(TypeError, match="etl is a int: give an ETLConfig"):
        READERS[name](ais_bucket, etl=5)


def test_each_stream_has_an_etl_or_none(ais_bucket: Bucket) -> None:
    """A list has to have as many as there are streams."""
    source = DataShard(ais_bucket.client.base_url, ais_bucket.name)
    with pytest.raises(ValueError, match="2 ETLs for 1 streams: give one for each"):
        AISMultiShardStream([source], etl=[None, None])


def test_what_an_etl_makes_has_no_checksum(ais_bucket: Bucket) -> None:
    """To verify it is an error, whether the argument or the URL asks for the ETL."""
    with pytest.raises(ValueError, match="give verify or an ETL"):
        AISFileLoader([], "localhost:1", etl=ETLConfig("one-etl"), verify="checksum")
    url = f"{ais_bucket.object('a').get_url()}&etl_name=one-etl"
    with pytest.raises(errors.InvalidURLError, match="leave out verify"):
        list(AISFileLoader([url], url.partition("/v1/")[0], verify="checksum"))
