"""Seed 003, the SDK's first steps, line by line on real clusters: with S3 and with Google behind.

``notebooks/06_sdk_getting_started.ipynb`` tells the same; this holds it to its word.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from aistore.sdk import Bucket, Client
from aistore.sdk.cluster import Cluster
from aistore.sdk.errors import ErrRemoteBckNotFound
from aistore.sdk.list_object_flag import ListObjectFlag
from aistore.sdk.obj.object import Object
from aistore.sdk.types import BucketList

import aisdatapipes  # noqa: F401 - registers the pipes
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from support.clouds import FakeGCS, MotoS3

ZIP = "tinyimagenet-compressed.zip"
COMPRESSED = "tinyimagenet_compressed"
UNCOMPRESSED = "tinyimagenet_uncompressed"
VALIDATION = "tinyimagenet_validationset"

TREE = {
    f"{part}/{label}/{number}.JPEG": random.Random(f"{part}{label}{number}").randbytes(900 + number)
    for part in ("train", "validation", "test")
    for label in ("n01443537", "n01629819")
    for number in range(3)
}
# Beside the folder: the prefix "validation" would bring it, "validation/" must not.
TREE["validation.txt"] = b"six images"
OF_VALIDATION = {name for name in TREE if name.startswith("validation/")}


@dataclass(frozen=True)
class Stage:
    """What the post has: a cluster, the cloud behind it by its name and itself, and a client."""

    provider: str
    cloud: MotoS3 | FakeGCS
    cluster: LocalCluster
    client: Client

    def in_cloud(self, bucket: str, name: str) -> bytes:
        """Read an object from the cloud itself, past the cluster."""
        # By the scope of the key that signed, moto knows that S3 is meant; it checks no more.
        scope = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20220720/us-east-1/s3/aws4"}
        request = Request(f"{self.cloud.endpoint}/{bucket}/{quote(name)}", headers=scope)
        with urlopen(request, timeout=30) as answer:
            return answer.read()


@pytest.fixture(scope="module", params=["aws", "gcp"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A cluster, and a cloud that has the tree and an empty bucket."""
    # One target: the jobs of several end some ten seconds after their work.
    with {"aws": MotoS3, "gcp": FakeGCS}[request.param]() as cloud:
        for name in (COMPRESSED, UNCOMPRESSED):
            cloud.create_bucket(name)
        for name, content in TREE.items():
            cloud.put(UNCOMPRESSED, name, content)
        backends = {request.param: {}}
        with LocalCluster(backends=backends, environment=cloud.environment) as cluster:
            yield Stage(request.param, cloud, cluster, cluster.client())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset on the local disk, with its zip file beside it."""
    root = tmp_path_factory.mktemp("Datasets")
    with zipfile.ZipFile(root / ZIP, "w") as archive:
        for name, content in TREE.items():
            archive.writestr(name, content)
        archive.extractall(root / "tinyimagenet")
    return root


@pytest.fixture
def native(stage: Stage, folder: Path) -> Iterator[Bucket]:
    """``ais://tinyimagenet_uncompressed`` with the tree, put file by file as in the post."""
    bucket = stage.client.bucket(UNCOMPRESSED).create()
    root = folder / "tinyimagenet"
    for path in filter(Path.is_file, root.rglob("*")):
        bucket.object(f"{path.relative_to(root)}").get_writer().put_file(path)
    yield bucket
    bucket.delete()


@pytest.fixture
def cold(stage: Stage) -> Bucket:
    """The cloud's ``tinyimagenet_uncompressed``, of which the cluster holds nothing."""
    bucket = stage.client.bucket(UNCOMPRESSED, provider=stage.provider)
    bucket.evict()
    return bucket


@pytest.fixture
def target(stage: Stage) -> Iterator[Bucket]:
    """``ais://tinyimagenet_validationset``, not made yet."""
    bucket = stage.client.bucket(VALIDATION)
    yield bucket
    bucket.delete(missing_ok=True)


def names_in(bucket: Bucket, *flags: ListObjectFlag, prefix: str = "") -> list[str]:
    """Return the names of all objects, in the order of the listing."""
    return [entry.name for entry in bucket.list_all_objects(prefix, flags=[*flags])]


def cached(bucket: Bucket) -> list[str]:
    """Return the names of what the cluster holds of a cloud's bucket."""
    return names_in(bucket, ListObjectFlag.CACHED)


def read(bucket: Bucket, name: str) -> bytes:
    """Get an object as the post does."""
    content = bucket.object(name).get_reader().read_all()
    assert isinstance(content, bytes)
    return content


def contents(bucket: Bucket) -> dict[str, bytes]:
    """Return what the bucket has, every object read one by one as in the post."""
    return {name: read(bucket, name) for name in names_in(bucket)}


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (Cluster, "is_aistore_running"),
        (Object, "put"),
        (Object, "get"),
        (BucketList, "get_entries"),
    ],
)
def test_calls_of_the_post_that_are_gone(kind: type, call: str) -> None:
    """The notebook says that the SDK of today lacks them; this fails when it is so no longer."""
    assert not hasattr(kind, call)


def test_a_file_is_put_and_got(stage: Stage, folder: Path) -> None:
    """The zip file comes back as it was, from a bucket that the cluster lists."""
    assert stage.client.cluster().is_ready()
    bucket = stage.client.bucket(COMPRESSED).create()
    listed = stage.client.cluster().list_buckets()
    assert (COMPRESSED, "ais") in {(found.name, found.provider) for found in listed}
    bucket.object(ZIP).get_writer().put_file(folder / ZIP)
    [(name, content)] = contents(bucket).items()
    assert name == ZIP
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == list(TREE)


def test_a_tree_is_put_and_got(stage: Stage, native: Bucket, folder: Path) -> None:
    """The names are the paths in the folder; ``put_files`` gives the same as the post's loop."""
    assert names_in(native) == sorted(TREE)
    assert contents(native) == TREE
    at_once = stage.client.bucket("at_once").create()
    assert sorted(at_once.put_files(folder / "tinyimagenet", recursive=True)) == sorted(TREE)
    assert contents(at_once) == TREE


def test_a_prefix_lists_one_folder(native: Bucket, cold: Bucket) -> None:
    """Exactly the objects under ``validation/``, of the cluster's bucket and the cloud's."""
    assert names_in(native, prefix="validation/") == sorted(OF_VALIDATION)
    assert names_in(cold, prefix="validation/") == sorted(OF_VALIDATION)


def test_one_listing_is_one_page(native: Bucket, cold: Bucket) -> None:
    """``list_objects`` is not the whole of a big bucket, ``list_all_objects`` is."""
    for bucket in (native, cold):
        page = bucket.list_objects("validation/", page_size=4)
        assert [entry.name for entry in page.entries] == sorted(OF_VALIDATION)[:4]
        assert page.continuation_token
        pages = bucket.list_all_objects("validation/", page_size=4)
        assert [entry.name for entry in pages] == sorted(OF_VALIDATION)


def test_the_provider_tells_buckets_of_one_name_apart(stage: Stage, native: Bucket) -> None:
    """Without it, as in the post's last lines on ``validation/``, the cluster's own is read."""
    theirs = stage.client.bucket(UNCOMPRESSED, provider=stage.provider)
    native.object("validation/only-here").get_writer().put_content(b"1")
    assert set(names_in(native)) - set(names_in(theirs)) == {"validation/only-here"}


def test_the_cloud_is_read_when_asked_for(cold: Bucket) -> None:
    """The cluster has imported nothing; what is read comes from the cloud, and stays."""
    assert cached(cold) == []
    assert read(cold, "validation.txt") == TREE["validation.txt"]
    assert cached(cold) == ["validation.txt"]
    assert contents(cold) == TREE
    assert cached(cold) == sorted(TREE)


def test_what_is_put_goes_to_the_cloud(stage: Stage, folder: Path) -> None:
    """An upload to the cloud's bucket is in the cloud at once, not only in the cluster."""
    bucket = stage.client.bucket(COMPRESSED, provider=stage.provider)
    bucket.object(ZIP).get_writer().put_file(folder / ZIP)
    assert stage.in_cloud(COMPRESSED, ZIP) == (folder / ZIP).read_bytes()


def test_a_copy_has_everything_that_was_read(stage: Stage, cold: Bucket, target: Bucket) -> None:
    """After the post's loop of reads, the copy has all objects, and outlives the eviction."""
    assert contents(cold) == TREE
    assert stage.client.job(cold.copy(target)).wait(timeout=60).success
    assert contents(target) == TREE
    cold.evict()
    assert contents(target) == TREE


def test_a_copy_has_nothing_that_was_not_read(stage: Stage, cold: Bucket, target: Bucket) -> None:
    """It takes what the cluster holds: of a cold bucket nothing, and says success."""
    read(cold, "validation.txt")
    assert stage.client.job(cold.copy(target)).wait(timeout=60).success
    assert names_in(target) == ["validation.txt"]


@pytest.mark.parametrize("keep_md", [False, True])
def test_eviction_leaves_the_cloud_alone(stage: Stage, cold: Bucket, keep_md: bool) -> None:
    """The cluster holds nothing any more, the cloud everything, and all of it is read again."""
    assert contents(cold) == TREE
    cold.evict(keep_md=keep_md)
    assert {name: stage.in_cloud(UNCOMPRESSED, name) for name in TREE} == TREE
    if keep_md:
        assert cold.summary()["name"] == UNCOMPRESSED
    else:
        with pytest.raises(ErrRemoteBckNotFound):
            cold.summary()
    assert cached(cold) == []
    assert contents(cold) == TREE


def test_the_pipes_read_it(stage: Stage, native: Bucket) -> None:
    """The post's last section, with our pipes: the cluster's bucket and the cloud's."""
    for provider in (native.provider.value, stage.provider):
        prefix = f"{provider}://{UNCOMPRESSED}/validation/"
        urls = IterableWrapper([prefix]).list_files_by_ais(stage.cluster.endpoint)
        pairs = [(url, file.read()) for url, file in urls.load_files_by_ais(stage.cluster.endpoint)]
        url = f"{provider}://{UNCOMPRESSED}"
        assert pairs == [(f"{url}/{name}", TREE[name]) for name in sorted(OF_VALIDATION)]
