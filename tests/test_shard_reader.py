"""AISShardReader: samples of shards as the seeds describe them, each once, whatever reads them."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISShardReader, ZeroDict, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import member, pack, shard

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

MATRIX = [(0, None), (2, "fork"), (4, "fork"), (1, "spawn"), (4, "forkserver")]
Found = tuple[str, dict[str, bytes]]


def expected(number: int) -> Found:
    """What the reader makes of sample `number` of `shard_urls`."""
    return f"{number:04d}", {end: f"{end} train/{number:04d}".encode() for end in ("jpg", "cls")}


ALL = [expected(number) for number in range(35)]


def put_shard(
    bucket: Bucket, put_object: PutObject, name: str, *members: tuple[str, bytes]
) -> None:
    """Put a shard of these members."""
    put_object(bucket, name, pack([member(*one) for one in members]))


@pytest.mark.usefixtures("shard_urls")
def test_samples_of_a_bucket(ais_bucket: Bucket) -> None:
    """As in the seed: a bucket in, basename and files out, in the order of the shards."""
    reader = AISShardReader(ais_bucket)
    assert list(reader) == list(reader) == ALL
    assert len(reader) == 35
    assert (
        list(AISShardReader(bucket_list=[ais_bucket], prefix_map={ais_bucket: "3."})) == ALL[21:28]
    )


@pytest.mark.usefixtures("shard_urls")
@pytest.mark.parametrize(("workers", "start"), MATRIX)
def test_workers_read_every_sample_once(
    ais_bucket: Bucket, workers: int, start: str | None
) -> None:
    """With any number of workers, started in any way; each epoch in another order."""
    reader = AISShardReader(ais_bucket, shuffle=True)
    loader = DataLoader(
        reader,
        batch_size=4,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=workers > 0,
    )
    orders = []
    for epoch in range(2):
        reader.set_epoch(epoch)
        orders.append(list(itertools.chain.from_iterable(loader)))
        assert sorted(orders[-1]) == ALL
    assert orders[0] != orders[1]


@pytest.mark.usefixtures("shard_urls")
def test_a_shard_has_one_order_for_any_number_of_workers(ais_bucket: Bucket) -> None:
    """Same seed and epoch: the samples of a shard come in the same order whoever reads it."""

    def orders(workers: int) -> list[list[int]]:
        reader = AISShardReader(ais_bucket, shuffle=True, seed=3)
        loader = DataLoader(reader, batch_size=None, num_workers=workers)
        keys = [int(key) for key, _ in loader]
        return [[key for key in keys if key // 7 == number] for number in range(5)]

    assert orders(0) == orders(2) == orders(4) != [list(range(7 * n, 7 * n + 7)) for n in range(5)]


@pytest.mark.usefixtures("shard_urls")
def test_the_default_collation_of_torch(ais_bucket: Bucket) -> None:
    """A batch is a list of names and a dictionary of lists, as upstream documents it."""
    names, files = next(iter(DataLoader(AISShardReader(ais_bucket), batch_size=2)))
    assert list(names) == ["0000", "0001"]
    assert files == {end: [ALL[0][1][end], ALL[1][1][end]] for end in ("jpg", "cls")}


def test_missing_files_are_empty(ais_bucket: Bucket, put_object: PutObject) -> None:
    """Every extension seen so far is present; it pickles, and knows its key and shard."""
    put_shard(
        ais_bucket, put_object, "0.tar", ("d/a.jpg", b"1"), ("d/b.CLS", b"2"), ("c.jpg", b"3")
    )
    found = list(AISShardReader(ais_bucket))
    assert found == [
        ("a", {"jpg": b"1"}),
        ("b", {"jpg": b"", "cls": b"2"}),
        ("c", {"jpg": b"3", "cls": b""}),
    ]
    files = pickle.loads(pickle.dumps(found[1][1]))
    assert isinstance(files, ZeroDict)
    assert AISShardReader.ZeroDict is ZeroDict
    assert (files.key, files.url) == ("d/b", f"ais://{ais_bucket.name}/0.tar")


def test_strict_raises_where_samples_differ(ais_bucket: Bucket, put_object: PutObject) -> None:
    """In place of empty files, an error that names the sample and what it has."""
    put_shard(ais_bucket, put_object, "0.tar", ("a.jpg", b"1"), ("a.cls", b"2"), ("b.jpg", b"3"))
    with pytest.raises(errors.BadArchiveError, match=r"'b' in .* has jpg where .* jpg, cls"):
        list(AISShardReader(ais_bucket, strict=True))


def test_duplicates_raise_and_strangers_are_counted(
    ais_bucket: Bucket, put_object: PutObject
) -> None:
    """An extension twice is an error; a README is left out and is in the counters."""
    put_shard(ais_bucket, put_object, "0.tar", ("README", b"1"), ("a.jpg", b"2"))
    reader = AISShardReader(ais_bucket)
    assert list(reader) == [("a", {"jpg": b"2"})]
    assert reader.counters().dropped == 1
    put_shard(ais_bucket, put_object, "0.tar", ("a.jpg", b"1"), ("a.JPG", b"2"))
    with pytest.raises(errors.BadArchiveError, match=r"'a\.JPG'"):
        list(reader)


def test_a_bad_shard_is_skipped(
    shard_urls: list[str], ais_bucket: Bucket, put_object: PutObject
) -> None:
    """What can be read is, of a cut shard too; a deleted one is counted with it."""
    reader = AISShardReader(ais_bucket, on_error="skip")
    put_object(ais_bucket, "1.tar", shard(7, 7)[:5000])
    ais_bucket.object("3.tar").delete()
    found = list(reader)
    of_the_cut = len(found) - 21
    assert 0 < of_the_cut < 7
    assert found == [*ALL[: 7 + of_the_cut], *ALL[14:21], *ALL[28:]]
    assert sorted(reader.skipped_urls()) == [shard_urls[1], shard_urls[3]]


@pytest.mark.usefixtures("shard_urls")
def test_transform_and_options(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """A transform gets what would be yielded; URLs do in place of a bucket."""
    options: dict[str, Any] = {
        "client_url": ais_cluster.endpoint,
        "urls_list": f"ais://{ais_bucket.name}/0",
    }
    assert list(AISShardReader(transform=lambda found: found[0], **options)) == [
        key for key, _ in ALL[:7]
    ]
    with pytest.raises(ValueError, match="shuffle_buffer is 0"):
        AISShardReader(shuffle_buffer=0, **options)
    with pytest.raises(ValueError, match="uneven is 'even'"):
        AISShardReader(uneven="even", **options)  # pyright: ignore[reportArgumentType]
