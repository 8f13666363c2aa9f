"""Random access and what goes wrong: shards that vanish, change or are cut, bad networks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISShardMapDataset, Manifest, Settings, ShardIndex, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Cut, Reset, Status
from support.faults import FaultProxy
from support.tars import member, pack, shard

START_METHODS = ["fork", "forkserver"]
BATCHES = r"GET /v1/ml/moss"
READS = r"GET /v1/(objects|ml/moss)\b"
COUNT = 35
BAD = range(14, 21)
"""The samples of the third shard."""


def numbers(samples: Any) -> list[int]:
    """Return the numbers of samples."""
    return [int(basename) for basename, _ in samples]


@pytest.fixture
def make(
    ais_cluster: LocalCluster, shard_urls: list[str], ais_bucket: Bucket, put_object: PutObject
) -> Callable[..., AISShardMapDataset]:
    """Make a dataset, and then delete its third shard or put another one in its place."""

    def make(replacement: bytes | None = None, **options: Any) -> AISShardMapDataset:
        options.setdefault("client_url", ais_cluster.endpoint)
        dataset = AISShardMapDataset(manifest=Manifest.from_urls(shard_urls), **options)
        if replacement is None:
            ais_bucket.object("2.tar").delete()
        else:
            put_object(ais_bucket, "2.tar", replacement)
        return dataset

    return make


REPLACEMENTS = {
    "gone": (None, errors.ObjectNotFoundError, r"no object '2\.tar'"),
    "other samples": (shard(70, 7), errors.ObjectChangedError, r"'2\.tar'.*was replaced since"),
    "cut": (shard(14, 7)[:3000], errors.ObjectChangedError, r"'2\.tar'.*was replaced since"),
    "no tar": (b"\xff" * 20_000, errors.ObjectChangedError, r"'2\.tar'.*was replaced since"),
    "empty": (b"", errors.ObjectChangedError, r"'2\.tar'.*was replaced since"),
}


@pytest.mark.parametrize(
    ("replacement", "kind", "message"), REPLACEMENTS.values(), ids=REPLACEMENTS
)
def test_a_shard_that_is_another_one(
    make: Callable[..., AISShardMapDataset],
    replacement: bytes | None,
    kind: type[Exception],
    message: str,
) -> None:
    """It raises, alone and in a batch, and says what to do; the others are read all the same."""
    dataset = make(replacement)
    for read in (lambda: dataset[20], lambda: dataset.__getitems__(range(COUNT))):
        with pytest.raises(kind, match=message):
            read()
    assert numbers(dataset.__getitems__([3, 33])) == [3, 33]


@pytest.mark.parametrize("replacement", [one for one, _, _ in REPLACEMENTS.values()])
def test_skipping_shortens_a_batch(
    make: Callable[..., AISShardMapDataset],
    replacement: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others come in order; each sample left out is counted, logged and its shard named."""
    dataset = make(replacement, on_error="skip")
    order = [*range(COUNT - 1, -1, -1)]
    with caplog.at_level(logging.WARNING, "aisdatapipes"):
        found = numbers(dataset.__getitems__(order))
    whole = [14] if replacement and replacement[:500] == shard(14, 7)[:500] else []
    assert [one for one in found if one not in BAD] == [one for one in order if one not in BAD]
    assert {one for one in found if one in BAD} <= {14, 15, *whole}
    left_out = COUNT - len(found)
    assert [url[-6:] for url in dataset.skipped_urls()] == ["/2.tar"] * left_out
    assert dataset.counters().skipped == left_out
    assert len([one for one in caplog.records if one.getMessage().startswith("skipped ")]) >= 5


def test_the_rest_of_a_batch_is_still_few_requests(
    make: Callable[..., AISShardMapDataset],
) -> None:
    """A shard that is gone is asked for alone; the others are not."""
    dataset = make(on_error="skip")
    before = dataset.counters().requests
    dataset.__getitems__([*range(0, 35, 2)])
    assert dataset.counters().requests - before <= 1 + len([n for n in BAD if n % 2 == 0])


def test_nothing_can_be_skipped_by_a_single_index(make: Callable[..., AISShardMapDataset]) -> None:
    """An index has to give a sample, so its error is raised, and counted as no skip."""
    dataset = make(on_error="skip")
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '2\.tar'"):
        dataset[15]
    assert (dataset.skipped_urls(), dataset.counters().skipped) == ([], 0)


def test_a_batch_of_nothing_raises(make: Callable[..., AISShardMapDataset]) -> None:
    """Where all samples of a batch are skipped there is nothing to collate."""
    dataset = make(on_error="skip")
    with pytest.raises(errors.TooManyErrorsError, match="all 7 samples of a batch were skipped"):
        dataset.__getitems__(BAD)


def test_max_errors_holds_over_batches(make: Callable[..., AISShardMapDataset]) -> None:
    """All batches of a process together may skip so many."""
    dataset = make(on_error="skip", max_errors=5)
    loader = DataLoader(dataset, batch_size=5, collate_fn=list)
    with pytest.raises(errors.TooManyErrorsError, match=r"6 objects failed.*no object '2\.tar'"):
        list(loader)


def instead(url: str, error: errors.AISPipeError) -> bytes | None:
    """Return a tar in place of a shard."""
    assert (url[-6:], isinstance(error, errors.ObjectNotFoundError)) == ("/2.tar", True)
    names = [f"train/{number:04d}.jpg" for number in range(14, 20)]
    return pack([member(name, b"instead") for name in names])


def test_a_function_decides(make: Callable[..., AISShardMapDataset]) -> None:
    """The sample is taken from the tar that it gives; one that has no such sample is wrong."""
    dataset = make(on_error=instead)
    found = dataset.__getitems__([1, 19, 14, 30])
    assert numbers(found) == [1, 19, 14, 30]
    assert found[1][1] == {"jpg": b"instead", "cls": b""}
    assert dataset[15][1]["jpg"] == b"instead"
    with pytest.raises(errors.BadArchiveError, match=r"on_error gave for .*has no sample '.*0020'"):
        dataset[20]
    assert dataset.counters().skipped == 0


@pytest.mark.parametrize("start_method", START_METHODS)
def test_workers_keep_the_policy_and_report(
    make: Callable[..., AISShardMapDataset], start_method: str
) -> None:
    """What all workers skip is there in the main process."""
    dataset = make(on_error="skip")
    loader = DataLoader(
        dataset,
        batch_size=10,
        num_workers=2,
        collate_fn=list,
        multiprocessing_context=start_method,
    )
    found = [number for batch in loader for number in numbers(batch)]
    assert found == [number for number in range(COUNT) if number not in BAD]
    assert dataset.counters().skipped == len(dataset.skipped_urls()) == 7


def test_errors_keep_their_type_on_the_way_out_of_workers(
    make: Callable[..., AISShardMapDataset],
) -> None:
    """And their message."""
    loader = DataLoader(make(), batch_size=5, num_workers=1, collate_fn=list)
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '2\.tar'"):
        list(loader)


@pytest.fixture
def far(faults: FaultProxy, shard_urls: list[str]) -> AISShardMapDataset:
    """The dataset, over a network that has no faults yet."""
    index = ShardIndex.build(
        manifest=Manifest.from_urls(shard_urls), client_url=faults.endpoint, cluster_index="off"
    )
    return AISShardMapDataset(index=index, settings=Settings(first_backoff_s=0.01))


@pytest.mark.parametrize(
    "rule",
    [
        Cut(900, times=3, matches=BATCHES),
        Cut(5000, times=1, matches=BATCHES),
        Cut(400, times=2, matches=READS),
        Reset(2000, times=2, matches=READS),
        Status(500, times=1, matches=BATCHES),
        Status(400, times=None, matches=BATCHES),
        Status(503, times=2, matches=READS),
    ],
    ids=str,
)
def test_a_bad_network(faults: FaultProxy, far: AISShardMapDataset, rule: Any) -> None:
    """What breaks off is read again, in the same order; without GetBatch it goes by GETs."""
    order = [(11 * number) % COUNT for number in range(COUNT)]
    with faults.rule(rule):
        assert numbers(far.__getitems__(order)) == order
        assert faults.hits(rule)
    assert far.counters().skipped == 0


def test_a_budget_makes_several_requests(far: AISShardMapDataset) -> None:
    """As many as the ranges take, or the most that one may have."""
    for options in cast("list[Any]", [{"max_batch": 5}, {"max_inflight_bytes": 5 * 2048}]):
        dataset = AISShardMapDataset(index=far.index, **options)
        order = [*range(0, COUNT, 2)]
        assert numbers(dataset.__getitems__(order)) == order
        assert dataset.counters().requests == 4
