"""ETLs on real targets: the seed's story, and the same bytes through every pipe and dataset."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aistore.sdk import Bucket, DataShard
from aistore.sdk.etl import ETLConfig
from aistore.sdk.multiobj import ObjectRange
from PIL import Image
from torch.utils.data import DataLoader

from aisdatapipes import (
    AISDataset,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISMultiShardStream,
    AISSampleLoader,
    AISShardReader,
    AISSourceLister,
)
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.etls import (
    Company,
    Framed,
    Thumbnail,
    Turned,
    TurnedFiles,
    framed,
    start_etl,
    thumbnail,
    turned,
    turned_files,
)
from support.tars import shard

OBJECTS = {f"{number}": f"content {number}".encode() for number in range(4)}
SHARDS = {f"{number}.tar": shard(3 * number, 3) for number in range(2)}


@pytest.fixture(scope="module")
def bucket(etl_cluster: LocalCluster, put_object: PutObject) -> Bucket:
    """A bucket with `OBJECTS`."""
    return filled(etl_cluster, put_object, "objects", OBJECTS)


@pytest.fixture(scope="module")
def shards(etl_cluster: LocalCluster, put_object: PutObject) -> Bucket:
    """A bucket with `SHARDS`."""
    return filled(etl_cluster, put_object, "shards", SHARDS)


@pytest.fixture(scope="module")
def etls(etl_cluster: LocalCluster) -> None:
    """The ETLs ``turned``, ``turned-by-pull``, ``framed`` and ``turned-files`` run."""
    start_etl(etl_cluster, "turned", Turned)
    start_etl(etl_cluster, "turned-by-pull", Turned, "hpull")
    start_etl(etl_cluster, "framed", Framed)
    start_etl(etl_cluster, "turned-files", TurnedFiles)


def filled(
    cluster: LocalCluster, put_object: PutObject, name: str, objects: dict[str, bytes]
) -> Bucket:
    """Make a bucket with objects."""
    bucket = cluster.client().bucket(name).create()
    for key, content in objects.items():
        put_object(bucket, key, content)
    return bucket


def urls_of(bucket: Bucket, names: dict[str, bytes]) -> list[str]:
    """Return the URLs of objects."""
    return [f"ais://{bucket.name}/{name}" for name in names]


def endpoint_of(bucket: Bucket) -> str:
    """Return the address of a bucket's cluster."""
    return bucket.client.base_url.removesuffix("/v1")


def loaded(bucket: Bucket, **etl: Any) -> list[bytes]:
    """Read by ``load_files_by_ais``, out of a pickle."""
    pipe = AISFileLoader(urls_of(bucket, OBJECTS), endpoint_of(bucket), **etl)
    return [stream.read() for _, stream in pickle.loads(pickle.dumps(pipe))]


def listed(bucket: Bucket, **etl: Any) -> list[bytes]:
    """Read the URLs of ``ais_list_sources``, which ask for the ETL."""
    urls = AISSourceLister([bucket], **etl)
    return [stream.read() for _, stream in urls.load_files_by_ais(url=endpoint_of(bucket))]


def mapped(bucket: Bucket, **etl: Any) -> list[bytes]:
    """Read by `AISMapDataset`, one by one and as a batch."""
    dataset = AISMapDataset(bucket, **etl)
    singly = [dataset[index] for index in range(len(dataset))]
    assert dataset.__getitems__(range(len(dataset))) == singly
    return [content for _, content in singly]


def by_dataset(bucket: Bucket, **etl: Any) -> list[bytes]:
    """Read by `AISDataset`, out of a pickle."""
    dataset = AISDataset(endpoint_of(bucket), f"ais://{bucket.name}", **etl)
    return [content for _, content in DataLoader(pickle.loads(pickle.dumps(dataset)), None)]


def iterated(bucket: Bucket, **etl: Any) -> list[bytes]:
    """Read by `AISIterDataset` in a worker process."""
    return [
        content for _, content in DataLoader(AISIterDataset(bucket, **etl), None, num_workers=1)
    ]


def samples(bucket: Bucket, **etl: Any) -> Iterator[bytes]:
    """Read by ``load_samples_by_ais``."""
    pipe = AISSampleLoader(urls_of(bucket, SHARDS), endpoint_of(bucket), **etl)
    for sample in pickle.loads(pickle.dumps(pipe)):
        yield from (value for key, value in sample.items() if not key.startswith("__"))


def read_shards(bucket: Bucket, **etl: Any) -> Iterator[bytes]:
    """Read by `AISShardReader`."""
    for _, files in AISShardReader(bucket, **etl):
        yield from files.values()


def streamed(bucket: Bucket, **etl: Any) -> Iterator[bytes]:
    """Read by `AISMultiShardStream`, beside the shards as they are."""
    given = {"etl_name": etl["etl_name"]} if "etl_name" in etl else {}
    one = DataShard(endpoint_of(bucket), bucket.name, **given)
    plain = DataShard(endpoint_of(bucket), bucket.name)
    stream = AISMultiShardStream([one, plain], etl=None if given else [etl["etl"], None])
    return (made for made, _ in stream)


def of_config(cluster: LocalCluster) -> dict[str, Any]:
    """A pipeline, with an argument that both of its ETLs get."""
    client = cluster.client()
    return {"etl": ETLConfig(client.etl("turned") >> client.etl("framed"), {"a b": "&?#ü"})}


ARGS = '{"a b":"&?#\\u00fc"}'


@pytest.mark.usefixtures("etls")
@pytest.mark.parametrize("read", [loaded, listed, mapped, by_dataset, iterated])
def test_objects_are_what_the_etl_makes_of_them(
    read: Callable[..., list[bytes]], etl_cluster: LocalCluster, bucket: Bucket
) -> None:
    """By name, with arguments, and by a pipeline: the bytes are those of the function run here."""
    for name in ("turned", "turned-by-pull"):
        assert read(bucket, etl_name=name) == [turned(data) for data in OBJECTS.values()]
        config = ETLConfig(name, args="+?&")
        assert read(bucket, etl=config) == [turned(data, "+?&") for data in OBJECTS.values()]
    expected = [framed(turned(data, ARGS), ARGS) for data in OBJECTS.values()]
    assert read(bucket, **of_config(etl_cluster)) == expected


@pytest.mark.usefixtures("etls")
@pytest.mark.parametrize("read", [samples, read_shards, streamed])
def test_shards_are_what_the_etl_makes_of_them(
    read: Callable[..., Iterator[bytes]], etl_cluster: LocalCluster, shards: Bucket
) -> None:
    """The files of shards that an ETL makes are those of the function run here."""
    assert list(read(shards, etl_name="turned-files")) == files_of(turned_files)
    with_args = files_of(lambda data: turned_files(data, "!"))
    assert list(read(shards, etl=ETLConfig("turned-files", args="!"))) == with_args
    client = etl_cluster.client()
    twice = ETLConfig(client.etl("turned-files") >> client.etl("turned-files"))
    made_twice = files_of(lambda data: turned_files(turned_files(data)))
    assert list(read(shards, etl=twice)) == made_twice


def test_the_seed_runs(etl_cluster: LocalCluster, put_object: PutObject) -> None:
    """Seed 002 with today's SDK: transform inline, a bucket, a range; and train on the result."""
    client = etl_cluster.client()
    images = {f"Bengal_{number}.jpg": image(number) for number in range(6)}
    bucket = filled(etl_cluster, put_object, "images", {**images, "README.txt": b"no image"})

    etl = client.etl("transform-images")
    etl.init_class(init_timeout="45s")(Thumbnail)
    assert etl.name in [running.id for running in client.cluster().list_etls()]
    assert etl.view().init_msg.name == etl.name

    inline = bucket.object("Bengal_1.jpg").get_reader(etl=ETLConfig(etl.name)).read_all()
    assert inline == thumbnail(images["Bengal_1.jpg"])

    transformed = client.bucket("transformed-images").create()
    job = bucket.transform(etl.name, transformed, prefix_filter="Bengal_", ext={"jpg": "jpeg"})
    assert client.job(job).wait(timeout=60).success
    selected = client.bucket("transformed-selected-images").create()
    group = bucket.objects(obj_range=ObjectRange("Bengal_", 2, 4, suffix=".jpg"))
    job = group.transform(to_bck=selected, etl_name=etl.name)
    assert client.job(job).wait_for_idle(timeout=60).success

    dataset = AISDataset(etl_cluster.endpoint, "ais://transformed-images")
    expected = {name.replace("jpg", "jpeg"): thumbnail(data) for name, data in images.items()}
    found = DataLoader(dataset, batch_size=4, shuffle=True, collate_fn=list)
    assert dict(pair for batch in found for pair in batch) == expected
    dataset = AISDataset(etl_cluster.endpoint, "ais://transformed-selected-images")
    assert dict(dataset[index] for index in range(len(dataset))) == {
        name: thumbnail(images[name]) for name in ("Bengal_2.jpg", "Bengal_3.jpg", "Bengal_4.jpg")
    }
    etl.stop()
    etl.delete()
    assert etl.name not in [running.id for running in client.cluster().list_etls()]


def test_objects_are_transformed_at_a_time(
    etl_cluster: LocalCluster, bucket: Bucket, put_object: PutObject
) -> None:
    """The loader asks for objects while others are being transformed."""
    start_etl(etl_cluster, "company", Company)
    put_object(bucket, "first", b"first")
    urls = [f"ais://{bucket.name}/first", *urls_of(bucket, OBJECTS) * 4]
    pipe = AISFileLoader(urls, etl_cluster.endpoint, etl_name="company")
    assert {stream.read() for _, stream in pipe} == {b"first", b"in company"}
    bucket.object("first").delete()


def files_of(make: Callable[[bytes], bytes]) -> list[bytes]:
    """Return all files of `SHARDS`, when these are made anew."""
    return [content for data in SHARDS.values() for content in contents_of(make(data))]


def contents_of(data: bytes) -> Iterator[bytes]:
    """Yield the files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        yield from (file.read() for file in map(tar.extractfile, tar) if file)


def image(number: int) -> bytes:
    """Return a JPEG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (32, 24), (40 * number, 90, 200)).save(file, format="JPEG")
    return file.getvalue()
