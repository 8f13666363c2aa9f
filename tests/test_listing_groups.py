"""Folders that are listed several at a time: fewer requests, and the same names."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest
from aistore.sdk import Bucket

from aisdatapipes import Settings
from aisdatapipes.listing.bucket_listing import list_urls
from aisdatapipes.testing import LocalCluster
from benchmarks.storing import Store
from test_listing import pages_of

LETTERS = ["a", "b", "-", ".", "!", "0", "1", "é", "日", " ", "\udcc3"]
"""Those before and behind a slash, of several bytes, and one that is none of UTF-8."""
FIXED = ["a", "a-", "a.t", "ab"]


def tree(chance: random.Random) -> list[str]:
    """Return names at several levels, of which many begin alike, in the order of their bytes."""

    def part() -> str:
        return "".join(chance.choices(LETTERS, k=chance.randint(1, 3)))

    parts = [*(part() for _ in range(12)), *FIXED]
    names = {
        "/".join([*chance.choices(parts, k=chance.choice([0, 1, 1, 2])), f"x{part()}"])
        for _ in range(60)
    }
    good = (name for name in names if not {"", ".", ".."} & set(name.split("/")))
    return sorted((name for name in good if name == name.strip()), key=as_bytes)


def as_bytes(name: str) -> bytes:
    """Return the bytes of a name."""
    return name.encode("utf-8", "surrogateescape")


def names_of(bucket: Bucket, cluster: LocalCluster, prefix: str, page_size: int) -> list[str]:
    """List a bucket."""
    url = f"ais://{bucket.name}/"
    urls = list_urls(url + prefix, cluster.endpoint, Settings(page_size=page_size))
    return [one.removeprefix(url) for one in urls]


@pytest.mark.parametrize("seed", range(3))
def test_random_trees_are_listed_whole(
    ais_bucket: Bucket, ais_cluster: LocalCluster, seed: int
) -> None:
    """Whatever names there are, and however long pages are: all of them, in order, and once."""
    names = tree(random.Random(seed))
    store = Store(ais_cluster.endpoint)
    quoted = (quote(name, errors="surrogateescape") for name in names)
    store.put_all(ais_bucket.name, ((name, b"") for name in quoted))
    for page_size in (1, 5, 20, 40, 0):
        for prefix in ("", "a", "a/", "ab/"):
            found = names_of(ais_bucket, ais_cluster, prefix, page_size)
            assert found == [name for name in names if name.startswith(prefix)], page_size


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_many_folders_take_few_requests(
    ais_bucket: Bucket, ais_cluster: LocalCluster, prefix: str
) -> None:
    """Small folders come many at a time, of which each would take a request else."""
    names = [f"{prefix}{folder:03d}/{one}" for folder in range(300) for one in range(2)]
    store = Store(ais_cluster.endpoint)
    store.put_all(ais_bucket.name, ((name, b"") for name in names))
    before = pages_of(ais_cluster)
    assert names_of(ais_bucket, ais_cluster, "", 200) == names
    assert pages_of(ais_cluster) - before < 50


def test_folders_that_are_bigger_than_the_first_ones(
    ais_bucket: Bucket, ais_cluster: LocalCluster
) -> None:
    """A group that turns out to be more than a page comes in smaller ones, and nothing twice."""
    sizes = [1 if folder < 20 else 9 for folder in range(60)]
    names = [f"{folder:02d}/{one}" for folder, size in enumerate(sizes) for one in range(size)]
    store = Store(ais_cluster.endpoint)
    store.put_all(ais_bucket.name, ((name, b"") for name in names))
    assert names_of(ais_bucket, ais_cluster, "", 20) == names


def test_empty_folders_in_a_group(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """A folder whose objects were deleted has none, and hides none of its neighbours."""
    names = [f"{folder:02d}/{one}" for folder in range(40) for one in range(2)]
    store = Store(ais_cluster.endpoint)
    store.put_all(ais_bucket.name, ((name, b"") for name in [*names, "05x/1", "05/x/2"]))
    for gone in ("05x/1", "05/x/2", "21/0", "21/1"):
        ais_bucket.object(gone).delete()
    left = [name for name in names if not name.startswith("21/")]
    assert names_of(ais_bucket, ais_cluster, "", 30) == left


@pytest.mark.parametrize("seed", range(3))
def test_no_page_of_a_level_loses_what_is_beside_a_folder(
    ais_bucket: Bucket, ais_cluster: LocalCluster, seed: int
) -> None:
    """AIStore has ``m/`` before ``m-1`` and ``m.txt``, and looks for the next page behind it."""
    chance = random.Random(seed)
    parts = [stem + end for stem in ("a", "m", "m-", "n") for end in ("", "-", "-1", ".txt", "!")]
    tops = {chance.choice(parts) + chance.choice(["", "1", "-"]) for _ in range(80)}
    names = sorted(f"{top}/x" if chance.random() < 0.4 else top for top in tops)
    store = Store(ais_cluster.endpoint)
    store.put_all(ais_bucket.name, ((name, b"") for name in names))
    for page_size in (1, 16, 19, 30):
        found = names_of(ais_bucket, ais_cluster, "", page_size)
        assert found == names, page_size
