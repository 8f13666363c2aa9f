"""Names of objects that know their URL, in samples that old code unpacks as before."""

from __future__ import annotations

import pickle

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISIterDataset, ObjectName
from aisdatapipes.testing import LocalCluster
from conftest import PutObject


@pytest.mark.parametrize("workers", [0, 1])
def test_equal_names_in_two_buckets_are_told_apart(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject, workers: int
) -> None:
    """Each sample has URL and bucket, also in batches of torch's own collate, out of workers."""
    other = ais_cluster.client().bucket("the-other").create()
    for bucket in (ais_bucket, other):
        put_object(bucket, "dir/a.bin", bucket.name.encode())
    dataset = AISIterDataset([ais_bucket, other])
    ((names, contents),) = DataLoader(dataset, batch_size=2, num_workers=workers)
    assert (list(names), list(contents)) == (
        ["dir/a.bin"] * 2,
        [bucket.name.encode() for bucket in (ais_bucket, other)],
    )
    assert [name.bucket for name in names] == [f"ais://{b.name}" for b in (ais_bucket, other)]
    assert [name.url for name in names] == dataset.manifest.urls()
    other.delete()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles_as_itself(protocol: int) -> None:
    """Text and URL come out of every protocol that multiprocessing may choose."""
    name = ObjectName("a", "ais://b/a")
    again = pickle.loads(pickle.dumps(name, protocol))
    assert (type(again), again, again.url) == (ObjectName, "a", "ais://b/a")
