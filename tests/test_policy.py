"""What happens to objects that cannot be read, and what a pipe reports, also from workers."""

from __future__ import annotations

import logging

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLoader, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject


@pytest.fixture
def urls(ais_bucket: Bucket, put_object: PutObject) -> list[str]:
    """Twenty URLs; objects 3, 7 and 11 are not there, and the last is no URL."""
    for number in range(19):
        if number not in (3, 7, 11):
            put_object(ais_bucket, f"{number:02d}", b"%02d" % number)
    return [f"ais://{ais_bucket.name}/{number:02d}" for number in range(19)] + ["no URL"]


def bad(urls: list[str]) -> list[str]:
    """Return those that cannot be read."""
    return [urls[3], urls[7], urls[11], urls[19]]


def contents(pipe: AISFileLoader) -> list[bytes]:
    """Read everything."""
    return [stream.read() for _, stream in pipe]


GOOD = [b"%02d" % number for number in range(19) if number not in (3, 7, 11)]


def replace(url: str, error: errors.AISPipeError) -> bytes | None:
    """Put something in place of a missing object, and skip other failures."""
    return url[-2:].encode() if isinstance(error, errors.ObjectNotFoundError) else None


@pytest.mark.parametrize("max_batch", [512, 1])
def test_raise_is_the_default(urls: list[str], ais_cluster: LocalCluster, max_batch: int) -> None:
    """What comes before the first bad object is read, then its error is raised."""
    got = []
    pipe = AISFileLoader(urls, ais_cluster.endpoint, max_batch=max_batch)
    with pytest.raises(errors.ObjectNotFoundError, match="no object '03'"):
        got.extend(stream.read() for _, stream in pipe)
    assert got == GOOD[:3]


@pytest.mark.parametrize("max_batch", [512, 1])
def test_skipped_objects_are_counted_and_named(
    urls: list[str],
    ais_cluster: LocalCluster,
    caplog: pytest.LogCaptureFixture,
    max_batch: int,
) -> None:
    """With ``"skip"`` the others come, and each that is left out is logged, once, and listed."""
    pipe = AISFileLoader(urls, ais_cluster.endpoint, on_error="skip", max_batch=max_batch)
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        assert contents(pipe) == GOOD
    assert pipe.skipped_urls() == bad(urls)
    assert pipe.counters().skipped == 4
    logged = [record.getMessage() for record in caplog.records]
    assert all(
        text.startswith(f"skipped {url}: ") for text, url in zip(logged, bad(urls), strict=True)
    )


def test_a_function_decides(urls: list[str], ais_cluster: LocalCluster) -> None:
    """What it returns is yielded in the object's place; None skips."""
    pipe = AISFileLoader(urls, ais_cluster.endpoint, on_error=replace)
    assert contents(pipe) == [b"%02d" % number for number in range(19)]
    assert pipe.skipped_urls() == ["no URL"]


def test_max_errors_ends_it(urls: list[str], ais_cluster: LocalCluster) -> None:
    """One more than allowed raises, and says what the last one was."""
    pipe = AISFileLoader(urls, ais_cluster.endpoint, on_error="skip", max_errors=2)
    with pytest.raises(errors.TooManyErrorsError, match=r"3 objects failed.*no object '11'"):
        contents(pipe)
    allowed = AISFileLoader(urls, ais_cluster.endpoint, on_error="skip", max_errors=4)
    assert contents(allowed) == contents(allowed) == GOOD


@pytest.mark.parametrize("wrong", [{"on_error": "ignore"}, {"max_errors": -1}])
def test_nonsense_is_refused(wrong: dict) -> None:
    """A word that is no policy, or a negative number, is named at construction."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AISFileLoader([], "localhost:1", **wrong)


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_workers_report_to_the_pipe(
    urls: list[str], ais_cluster: LocalCluster, start_method: str
) -> None:
    """Counters and skipped URLs of all worker processes are there in the main one."""
    shared = IterableWrapper([*urls, *urls]).sharding_filter()
    pipe = AISFileLoader(shared, ais_cluster.endpoint, on_error=replace)
    loader = DataLoader(pipe, batch_size=None, num_workers=2, multiprocessing_context=start_method)
    assert len([url for url, _ in loader]) == 2 * 19
    counters = pipe.counters()
    assert (counters.objects, counters.bytes, counters.skipped) == (2 * 19, 2 * 19 * 2, 2)
    assert pipe.skipped_urls() == ["no URL"] * 2
    assert counters.cluster_s > 0
    assert counters.consumer_s > 0


def test_counters_are_there_during_the_epoch(urls: list[str], ais_cluster: LocalCluster) -> None:
    """After the third object the count is three."""
    pipe = AISFileLoader(urls, ais_cluster.endpoint)
    iterator = iter(pipe)
    for expected in (1, 2, 3):
        next(iterator)
        assert pipe.counters().objects == expected
