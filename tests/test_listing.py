"""Listing on a real node: order, laziness by page, hostile names, sources, errors."""

from __future__ import annotations

import pytest
import requests
from aistore.sdk import Bucket, Namespace
from aistore.sdk import errors as sdk

from aisdatapipes import AISFileLister, AISSourceLister, Settings, errors
from aisdatapipes.listing.bucket_listing import list_urls
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.fault_rules import Status
from support.faults import FaultProxy

NAMES = ["b/2", "a/1", "b/1", "b.txt", "a b#?"]


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with an empty object under each of `NAMES`."""
    for name in NAMES:
        put_object(ais_bucket, name, b"")
    return ais_bucket


def listed(bucket: Bucket, prefix: str, endpoint: str) -> list[str]:
    """List `prefix` of `bucket` and return the names alone."""
    urls = AISFileLister([f"ais://{bucket.name}{prefix}"], url=endpoint)
    return [url.removeprefix(f"ais://{bucket.name}/") for url in urls]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_bucket_is_listed_in_name_order(
    filled: Bucket, ais_cluster: LocalCluster, slash: str
) -> None:
    """With and without its slash, a bucket's URL lists every object in the order of names."""
    assert listed(filled, slash, ais_cluster.endpoint) == sorted(NAMES)


def test_a_prefix_selects(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """A prefix is a beginning of names: part of a name, a folder, or one whole name."""
    endpoint = ais_cluster.endpoint
    assert listed(filled, "/b", endpoint) == ["b.txt", "b/1", "b/2"]
    assert listed(filled, "/b/", endpoint) == ["b/1", "b/2"]
    assert listed(filled, "/a b#?", endpoint) == ["a b#?"]
    with pytest.warns(errors.NoObjectsWarning, match="nothing; list the bucket"):
        assert listed(filled, "/nothing", endpoint) == []


def test_prefixes_are_listed_one_after_another(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """The order of the source is kept, and what is asked for twice comes twice."""
    prefixes = [f"ais://{filled.name}/{prefix}" for prefix in ("b/", "a/", "b/")]
    urls = AISFileLister(prefixes, url=ais_cluster.endpoint)
    assert [url[-3:] for url in urls] == ["b/1", "b/2", "a/1", "b/1", "b/2"]


def test_a_folder_does_not_hide_its_neighbours(put_object: PutObject) -> None:
    """Names beside a folder of the same beginning are listed, which the cluster leaves out.

    Several targets, because each one decides for itself.
    """
    with LocalCluster(targets=2) as cluster:
        bucket = cluster.client().bucket("neighbours").create()
        beside = ["b.txt", "b/1", "b0", "ba/1", "b\ue000"]
        for name in [*beside, "a", "c"]:
            put_object(bucket, name, b"")
        assert listed(bucket, "/b", cluster.endpoint) == beside
        assert listed(bucket, "/b\ue000", cluster.endpoint) == ["b\ue000"]
        assert listed(bucket, "/b/", cluster.endpoint) == ["b/1"]


def pages_of(cluster: LocalCluster) -> int:
    """Return how many pages of listings the cluster's proxy has sent since it started."""
    stats = requests.get(f"{cluster.endpoint}/v1/daemon?what=node_stats", timeout=10).json()
    return int(stats["tracker"].get("lst.n", 0))


def test_listing_goes_over_folders_lazily(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """What is more than a page is listed by folders, and each is asked for when its turn comes."""
    names = [f"{folder}/{number}" for folder in "abc" for number in range(5)]
    for name in names:
        put_object(ais_bucket, name, b"")
    settings = Settings(page_size=10)
    before = pages_of(ais_cluster)
    urls = list_urls(f"ais://{ais_bucket.name}", ais_cluster.endpoint, settings)
    seen = [(url[-3:], pages_of(ais_cluster) - before) for url in urls]
    assert seen == [(name, 3 + number // 5) for number, name in enumerate(names)]


@pytest.mark.parametrize("targets", [1, 3])
def test_no_page_loses_names(put_object: PutObject, targets: int) -> None:
    """Beside a folder, names that go on with less than a slash: AIStore's pages leave them out."""
    beside = ["train-2/1", "train-2/2", "train.txt", "train/1", "train/2", "train/a/3", "z"]
    deeper = ["a/b-2/c", "a/b.x", "a/b/c", "a/b/d-1/f", "a/b/d.txt", "a/b/d/e"]
    marked = ["x-/1", "x-/2", "x-1.t/1", "x-1/2", "x/1", "y"]
    names = sorted([*beside, *deeper, *marked])
    with LocalCluster(targets=targets) as cluster:
        bucket = cluster.client().bucket("paged").create()
        for name in names:
            put_object(bucket, name, b"")
        for size in (0, 1, 2, 3, 5, 11):
            for prefix in ("", "train", "train/", "a/", "a/b", "x-"):
                url = f"ais://paged/{prefix}"
                urls = list_urls(url, cluster.endpoint, Settings(page_size=size))
                found = sorted(one.removeprefix("ais://paged/") for one in urls)
                assert found == [name for name in names if name.startswith(prefix)]


def test_namespaces_are_apart(
    filled: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A bucket of the same name in a namespace is another one, and its URLs say so."""
    client = ais_cluster.client()
    other = client.bucket(filled.name, namespace=Namespace(name="team")).create()
    put_object(other, "own", b"")
    try:
        urls = list(AISFileLister([f"ais://#team/{filled.name}"], url=ais_cluster.endpoint))
        assert urls == [f"ais://#team/{filled.name}/own"]
    finally:
        other.delete()


def test_a_listing_that_is_gone_with_its_bucket(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy
) -> None:
    """AIStore says of the listing that it is gone; that the bucket is, the error tells."""
    for name in "abc":
        put_object(ais_bucket, name, b"")
    urls = list_urls(f"ais://{ais_bucket.name}/", faults.endpoint, Settings(page_size=10))
    gone = Status(410, times=None, matches="GET /v1/buckets")
    with faults.rule(gone):
        with pytest.raises(errors.ClusterError, match="made by a rule"):
            list(urls)
        ais_bucket.delete()
        urls = list_urls(f"ais://{ais_bucket.name}/", faults.endpoint, Settings(page_size=10))
        with pytest.raises(errors.BucketNotFoundError):
            list(urls)


def test_a_missing_bucket(ais_cluster: LocalCluster) -> None:
    """It is the SDK's `ErrBckNotFound` with its status, and a `FileNotFoundError`."""
    with pytest.raises(errors.BucketNotFoundError, match="ais://no-such-bucket at http") as caught:
        list(AISFileLister(["ais://no-such-bucket/"], url=ais_cluster.endpoint))
    assert isinstance(caught.value, sdk.ErrBckNotFound)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://b/", "AWS backend is missing"),
        ("gs://b/", "GCP backend is missing"),
        ("az://b/", "Azure backend is missing"),
        ("ais://@nowhere/b/", 'remote cluster "nowhere" does not exist'),
    ],
)
def test_a_bucket_that_is_not_behind_the_cluster(
    ais_cluster: LocalCluster, url: str, reason: str
) -> None:
    """A backend or remote cluster that is not configured is named as the cluster names it."""
    with pytest.raises(errors.RemoteBucketNotFoundError, match=reason) as caught:
        list(AISFileLister([url], url=ais_cluster.endpoint))
    assert isinstance(caught.value, sdk.ErrRemoteBckNotFound)


@pytest.mark.parametrize("url", ["", "ais:", "ais://", "s3:///bucket", "bkt/obj", "nope://b"])
def test_bad_urls(ais_cluster: LocalCluster, url: str) -> None:
    """A bad prefix raises when its turn comes, and is a `ValueError`."""
    with pytest.raises(errors.InvalidURLError) as caught:
        list(AISFileLister([url], url=ais_cluster.endpoint))
    assert isinstance(caught.value, ValueError)


def test_a_full_url_cannot_be_listed(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """The full URL of an object is for the loader, and the error says so."""
    full = filled.object("a/1").get_url()
    with pytest.raises(errors.InvalidURLError, match="load it as it is"):
        list(AISFileLister([full], url=ais_cluster.endpoint))


def test_sources_of_the_sdk(filled: Bucket) -> None:
    """Bucket, group and object give their full URLs, each in its own order."""
    group = filled.objects(obj_names=["b/2", "a/1"])
    single = filled.object("b.txt")
    urls = list(AISSourceLister([group, single, filled]))
    names = ["b/2", "a/1", "b.txt", *sorted(NAMES)]
    assert urls == [filled.object(name).get_url() for name in names]
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


def test_sources_are_filtered_by_prefix(filled: Bucket) -> None:
    """The prefix holds for every kind of source, also where the SDK ignores it."""
    group = filled.objects(obj_names=["b/2", "a/1"])
    urls = AISSourceLister([group, filled.object("b.txt"), filled], prefix="b/")
    assert list(urls) == [filled.object(name).get_url() for name in ("b/2", "b/1", "b/2")]


def test_a_single_source_needs_no_list(filled: Bucket) -> None:
    """One source may be given as it is, as the SDK's own classes allow."""
    assert len(list(AISSourceLister(filled))) == len(NAMES)


def test_the_etl_is_in_the_urls(filled: Bucket) -> None:
    """With `etl_name` every URL asks for that ETL."""
    urls = list(AISSourceLister([filled], prefix="a/", etl_name="resize"))
    assert urls == [f"{filled.object('a/1').get_url()}&etl_name=resize"]


def test_a_source_in_a_missing_bucket(ais_cluster: LocalCluster) -> None:
    """The SDK's error becomes ours here too."""
    missing = ais_cluster.client().bucket("no-such-bucket")
    with pytest.raises(errors.BucketNotFoundError, match="no-such-bucket at http"):
        list(AISSourceLister([missing]))


def test_what_is_no_source_is_refused() -> None:
    """A string in place of a source is a `TypeError` that names the three kinds."""
    with pytest.raises(TypeError, match="a Bucket, an ObjectGroup or an Object"):
        list(AISSourceLister(["ais://b"]))  # pyright: ignore[reportArgumentType]
