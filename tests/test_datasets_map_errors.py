"""Map datasets and what goes wrong: objects that vanish or change, policies, bad networks."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable

import pytest
from aistore.sdk import Bucket, Client
from torch.utils.data import DataLoader

from aisdatapipes import AISDataset, AISMapDataset, Settings, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Cut, Status
from support.faults import FaultProxy

EXPECTED = [(f"{number:02d}", b"%02d" % number) for number in range(20)]
GONE = (3, 7, 11)
THERE = [pair for number, pair in enumerate(EXPECTED) if number not in GONE]
READS = r"GET /v1/(objects|ml/moss)\b"
START_METHODS = ["fork", "forkserver"]


@pytest.fixture
def bucket(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with the objects of `EXPECTED`."""
    for name, content in EXPECTED:
        put_object(ais_bucket, name, content)
    return ais_bucket


@pytest.fixture
def damaged(bucket: Bucket) -> Callable[..., AISMapDataset]:
    """Make a dataset and then delete the objects `GONE`."""

    def make(**options: object) -> AISMapDataset:
        dataset = AISMapDataset(bucket, **options)  # pyright: ignore[reportArgumentType]
        for number in GONE:
            bucket.object(f"{number:02d}").delete()
        return dataset

    return make


def instead(url: str, error: errors.AISPipeError) -> bytes | None:
    """Put something in place of two of the missing objects, and skip the third."""
    assert isinstance(error, errors.ObjectNotFoundError)
    return None if url.endswith("/07") else b"instead of " + url[-2:].encode()


def test_a_vanished_object_raises(damaged: Callable[..., AISMapDataset]) -> None:
    """By default an object that is gone since the listing raises, alone and in a batch."""
    dataset = damaged()
    for read in (lambda: dataset[3], lambda: dataset.__getitems__(range(20))):
        with pytest.raises(errors.ObjectNotFoundError, match="no object '03'"):
            read()
    assert dataset.__getitems__([4, 2]) == [EXPECTED[4], EXPECTED[2]]


def test_skipping_shortens_a_batch(
    damaged: Callable[..., AISMapDataset], caplog: pytest.LogCaptureFixture
) -> None:
    """With ``"skip"`` the others come in order; each left out is counted, logged and named."""
    dataset = damaged(on_error="skip")
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        assert dataset.__getitems__(range(20)) == THERE
    assert [url[-2:] for url in dataset.skipped_urls()] == ["03", "07", "11"]
    assert dataset.counters().skipped == 3
    assert len([one for one in caplog.records if one.getMessage().startswith("skipped ")]) == 3


def test_nothing_can_be_skipped_by_a_single_index(damaged: Callable[..., AISMapDataset]) -> None:
    """An index has to give a sample, so its error is raised, and counted as no skip."""
    dataset = damaged(on_error="skip")
    with pytest.raises(errors.ObjectNotFoundError, match="no object '07'"):
        dataset[7]
    assert (dataset.skipped_urls(), dataset.counters().skipped) == ([], 0)


def test_a_batch_of_nothing_raises(damaged: Callable[..., AISMapDataset]) -> None:
    """Where all objects of a batch are skipped there is nothing to collate."""
    dataset = damaged(on_error="skip")
    with pytest.raises(errors.TooManyErrorsError, match="all 3 objects of a batch were skipped"):
        dataset.__getitems__(GONE)
    assert dataset.counters().skipped == 3


def test_a_function_decides(damaged: Callable[..., AISMapDataset]) -> None:
    """Its content comes in the object's place, by index too; None skips, or raises there."""
    dataset = damaged(on_error=instead)
    assert dataset.__getitems__([2, 3, 7, 11]) == [
        EXPECTED[2],
        ("03", b"instead of 03"),
        ("11", b"instead of 11"),
    ]
    assert dataset[3] == ("03", b"instead of 03")
    with pytest.raises(errors.ObjectNotFoundError, match="no object '07'"):
        dataset[7]


def test_max_errors_holds_over_batches(damaged: Callable[..., AISMapDataset]) -> None:
    """All batches of a process together may skip so many."""
    dataset = damaged(on_error="skip", max_errors=2)
    loader = DataLoader(dataset, batch_size=5, collate_fn=list)
    with pytest.raises(errors.TooManyErrorsError, match=r"3 objects failed.*no object '11'"):
        list(loader)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_workers_keep_the_policy_and_report(
    damaged: Callable[..., AISMapDataset], start_method: str
) -> None:
    """Skipped objects of all workers are there in the main process, and errors have their type."""
    dataset = damaged(on_error="skip")
    loader = DataLoader(
        dataset,
        batch_size=5,
        num_workers=2,
        multiprocessing_context=start_method,
        collate_fn=list,
    )
    assert [pair for batch in loader for pair in batch] == THERE
    assert [url[-2:] for url in sorted(dataset.skipped_urls())] == ["03", "07", "11"]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_errors_keep_their_type(damaged: Callable[..., AISMapDataset], start_method: str) -> None:
    """What a worker meets is caught by the same handlers as in the main process."""
    loader = DataLoader(
        damaged(),
        batch_size=5,
        num_workers=2,
        multiprocessing_context=start_method,
        sampler=[0, 1, 2, 4, 5, 6, 8, 9, 10, 3],
        collate_fn=list,
    )
    with pytest.raises(errors.ObjectNotFoundError, match="no object '03'") as caught:
        list(loader)
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("content", [b"", b"longer than it was" * 1000])
def test_a_changed_object_comes_as_it_is_now(
    bucket: Bucket, put_object: PutObject, content: bytes
) -> None:
    """What was replaced since the listing is read whole, whatever size it had."""
    dataset = AISMapDataset(bucket)
    put_object(bucket, "05", content)
    changed = [("05", content) if name == "05" else (name, old) for name, old in EXPECTED]
    assert dataset.__getitems__(range(20)) == changed
    assert dataset[5] == ("05", content)


def test_a_broken_connection_loses_nothing(bucket: Bucket, faults: FaultProxy) -> None:
    """A batch that is cut, or refused for a while, is read to its end."""
    dataset = AISMapDataset(Client(f"{faults.endpoint}/").bucket(bucket.name))
    for rule in (Cut(3000, matches=READS), Status(503, matches=READS)):
        with faults.rule(rule):
            assert dataset.__getitems__(range(20)) == EXPECTED
            assert faults.hits(rule) == 1
    assert dataset.counters().retries == 2


def test_a_big_object_that_breaks_is_skipped(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """A stream that cannot be read to its end falls under the policy as well."""
    for name in ("big", "other"):
        put_object(ais_bucket, name, bytes(10**6))
    bucket = Client(f"{faults.endpoint}/").bucket(ais_bucket.name)
    settings = Settings(whole_object_bytes=1000, max_retries=0)
    dataset = AISMapDataset(bucket, on_error="skip", settings=settings)
    with faults.rule(Cut(1000, times=None, matches="/big")):
        assert [name for name, _ in dataset.__getitems__([0, 1])] == ["other"]
    assert dataset.counters().skipped == 1


def test_a_cluster_that_is_away_is_never_skipped(unused_endpoint: str, bucket: Bucket) -> None:
    """It would empty the epoch, so it raises whatever the policy."""
    manifest = AISMapDataset(bucket).manifest
    dataset = AISDataset(
        unused_endpoint, manifest=manifest, on_error="skip", settings=Settings(max_retries=0)
    )
    for read in (lambda: dataset[0], lambda: dataset.__getitems__([0, 1])):
        with pytest.raises(errors.ClusterUnreachableError, match=unused_endpoint):
            read()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"on_error": "ignore"}, "on_error"),
        ({"max_errors": -1}, "max_errors"),
        ({"max_batch": 0}, "max_batch"),
        ({"verify": "md5"}, "verify"),
        ({"verify": "checksum", "etl_name": "resize"}, "an ETL's results have no checksums"),
    ],
)
def test_nonsense_is_refused(bucket: Bucket, wrong: dict, reason: str) -> None:
    """An option that cannot be is named where the dataset is made."""
    with pytest.raises(ValueError, match=reason):
        AISMapDataset(bucket, **wrong)


def test_a_missing_bucket_is_noticed_at_once(ais_cluster: LocalCluster) -> None:
    """The listing is part of making a dataset, so its errors come there."""
    with pytest.raises(errors.BucketNotFoundError, match="no-such-bucket at http"):
        AISDataset(ais_cluster.endpoint, "ais://no-such-bucket/")


def test_a_dataset_is_small_and_holds_no_connection(bucket: Bucket) -> None:
    """It pickles, after use too, and the pickle has no names in it."""
    dataset = AISMapDataset(bucket)
    assert dataset.__getitems__([0, 1]) == EXPECTED[:2]
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 2048
    assert pickle.loads(pickled)[5] == EXPECTED[5]
