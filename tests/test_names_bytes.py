"""Objects whose names are not UTF-8: listed, read, and no harm to the others."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
import requests
from aistore.sdk import Bucket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from aisdatapipes import (
    AISFileLister,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISSourceLister,
    Settings,
    errors,
)
from aisdatapipes.testing import LocalCluster
from aisdatapipes.urls import format_url, parse_object_url, parse_url
from support.fault_rules import Status
from support.faults import FaultProxy

RAW_NAMES = sorted(
    [
        *(b"a", b"a\xff", b"a\xffb#?%", b"b", b"dir\xfe/1", b"dir\xfe/\xff2", b"z"),
        *(b"dir/\xff\xc3\xa9.jpg", b"\xed\xa0\x80", b"\x80", b"\xc3\xbc"),
    ]
)
"""In the order of the cluster."""

NAMES = [name.decode(errors="surrogateescape") for name in RAW_NAMES]
PAGES = [Settings(), Settings(page_size=1), Settings(page_size=2), Settings(page_size=3)]


@pytest.fixture
def bucket(ais_bucket: Bucket) -> Bucket:
    """A bucket with objects of `RAW_NAMES`, each of which holds its name."""
    for name in RAW_NAMES:
        path = f"/v1/objects/{ais_bucket.name}/{quote(name)}?provider=ais"
        address = urlsplit(ais_bucket.client.base_url).netloc
        led = requests.put(f"http://{address}{path}", allow_redirects=False, timeout=30)
        requests.put(led.headers["Location"], data=name, timeout=30).raise_for_status()
    return ais_bucket


@pytest.mark.parametrize("paged", PAGES, ids=repr)
@pytest.mark.parametrize(
    "prefix", ["", "a", "a\udcff", "dir", "dir\udcfe", "dir\udcfe/", "dir\udcfe/\udcff", "\udced"]
)
def test_a_bucket_of_odd_names_is_listed_whole(
    bucket: Bucket, ais_cluster: LocalCluster, prefix: str, paged: Settings
) -> None:
    """Every name comes once, in order, under any prefix and over any number of pages."""
    base = f"ais://{bucket.name}/"
    listed = list(AISFileLister([base + prefix], ais_cluster.endpoint, settings=paged))
    assert listed == [base + name for name in NAMES if name.startswith(prefix)]


@pytest.mark.parametrize(
    "options", [{}, {"max_batch": 1}, {"settings": Settings(whole_object_bytes=0)}], ids=str
)
def test_odd_names_are_read(bucket: Bucket, ais_cluster: LocalCluster, options: dict) -> None:
    """What is listed can be read as it is, whole or as a stream."""
    urls = AISFileLister([f"ais://{bucket.name}/"], ais_cluster.endpoint)
    objects = list(AISFileLoader(urls, ais_cluster.endpoint, **options))
    assert [stream.read() for _, stream in objects] == RAW_NAMES
    assert [url for url, _ in objects] == [f"ais://{bucket.name}/{name}" for name in NAMES]


def test_full_urls_of_odd_names(bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """The SDK's sources give URLs with every byte quoted, which lead to the same objects."""
    urls = list(AISSourceLister([bucket]))
    assert all(url.isascii() for url in urls)
    assert sorted(parse_url(url).name.encode(errors="surrogateescape") for url in urls) == RAW_NAMES
    contents = [stream.read() for _, stream in AISFileLoader(urls, ais_cluster.endpoint)]
    assert sorted(contents) == RAW_NAMES


@pytest.mark.parametrize("workers", [0, 2])
def test_datasets_have_odd_names(bucket: Bucket, ais_cluster: LocalCluster, workers: int) -> None:
    """An iterable and a map dataset give names and contents, from worker processes too."""
    base = f"ais://{bucket.name}/"
    pairs = dict(zip(NAMES, RAW_NAMES, strict=True))
    stream = AISIterDataset(urls_list=base, client_url=ais_cluster.endpoint)
    assert dict(DataLoader(stream, batch_size=None, num_workers=workers)) == pairs
    dataset = AISMapDataset(urls_list=base, client_url=ais_cluster.endpoint)
    assert dict(DataLoader(dataset, batch_size=None, num_workers=workers)) == pairs
    assert dict(dataset.read_many(range(len(dataset)))) == pairs
    assert list(dataset.object_sizes()) == [len(pairs[entry.name]) for entry in dataset.manifest]


def test_a_missing_odd_name_is_told_escaped(bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """A message can be printed anywhere, and shows which bytes the name has."""
    pipe = AISFileLoader([f"ais://{bucket.name}/no\udcff"], ais_cluster.endpoint)
    with pytest.raises(errors.ObjectNotFoundError) as caught:
        list(pipe)
    assert r"no object 'no\udcff' in" in caught.value.message.encode().decode()


ODD_NAMES = st.binary(min_size=1, max_size=8).map(
    lambda name: name.decode(errors="surrogateescape")
)


@given(ODD_NAMES)
@settings(max_examples=300, suppress_health_check=[HealthCheck.differing_executors])
def test_urls_keep_every_byte(name: str) -> None:
    """Both forms of a URL are taken apart into the name that was written, or are refused."""
    for base in ("ais://b/", "http://localhost:1/v1/objects/b/"):
        written = name if base.startswith("ais") else quote(name, errors="surrogateescape")
        try:
            parsed = parse_object_url(base + written)
        except errors.InvalidURLError:
            continue
        assert parsed.name == name
        assert parse_object_url(format_url(parsed)) == parsed


def test_what_is_no_listing_is_an_error_of_ours(bucket: Bucket, faults: FaultProxy) -> None:
    """Another server's answer is no listing: the error says so, not what a decoder says."""
    with (
        faults.rule(Status(200, times=None, matches="/v1/buckets/")),
        pytest.raises(errors.ClusterError, match="is it an AIStore cluster"),
    ):
        list(AISFileLister([f"ais://{bucket.name}/"], faults.endpoint))
