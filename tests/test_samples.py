"""Samples of shards on a real node: grouping, order, workers, what is left out and what raises."""

from __future__ import annotations

import gzip
import io
import logging
import tarfile

import pytest
from aistore.sdk import Bucket
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from aisdatapipes import AISSampleLoader, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.tar import Sample, TarReader, group_samples
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import member, pack, sample, shard

URL = "ais://imagenet/0.tar"
NAMES = ["a.jpg", "a.cls", "b/c.jpg", "d" * 120 + ".jpg", "long/" * 60 + "n.png", "日本.jpg"]


def group(*names: str) -> list[Sample]:
    """Return the samples of members of these names, each of which holds its own name."""
    return list(group_samples([(name, name.encode(), None) for name in names], URL))


def keys(samples: list[Sample]) -> list[tuple[str, set[str]]]:
    """Return key and extensions of each sample."""
    return [(sample.key, set(sample.files)) for sample in samples]


def test_the_key_ends_at_the_first_dot_of_the_name() -> None:
    """Dots of directories belong to the key; those behind the first one to the extension."""
    samples = group("v1.0/a.jpg", "v1.0/a.seg.png", "v1.0/b.jpg", "./c.jpg")
    assert keys(samples) == [
        ("v1.0/a", {"jpg", "seg.png"}),
        ("v1.0/b", {"jpg"}),
        ("./c", {"jpg"}),
    ]
    assert samples[0].files == {"jpg": b"v1.0/a.jpg", "seg.png": b"v1.0/a.seg.png"}


def test_extensions_are_in_lower_case() -> None:
    """``.JPG`` is ``jpg``; the key stays as it is."""
    assert keys(group("A.JPG", "A.Cls")) == [("A", {"jpg", "cls"})]


def test_a_key_that_comes_back_is_a_new_sample() -> None:
    """Only neighbours are grouped: a shard is read once, forward."""
    assert keys(group("a.jpg", "b.jpg", "a.cls")) == [
        ("a", {"jpg"}),
        ("b", {"jpg"}),
        ("a", {"cls"}),
    ]


@pytest.mark.parametrize("second", ["d/a.jpg", "d/a.JPG"])
def test_an_extension_twice_raises(second: str) -> None:
    """The message names member, sample and shard, also when only the case differs."""
    with pytest.raises(errors.BadArchiveError, match=rf"'{second}' in {URL} .* 'jpg' .* 'd/a'"):
        group("d/a.jpg", "d/a.cls", second)


@pytest.mark.parametrize("extension", ["__key__", "__URL__"])
def test_an_extension_that_every_sample_has_raises(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, extension: str
) -> None:
    """Key and URL of a sample are not overwritten by a member."""
    put_object(ais_bucket, "0.tar", pack([member(f"a.{extension}", b"0")]))
    pipe = AISSampleLoader([f"ais://{ais_bucket.name}/0.tar"], ais_cluster.endpoint)
    with pytest.raises(errors.BadArchiveError, match="sample 'a' in"):
        list(pipe)


@given(
    st.lists(st.sampled_from([*NAMES, "README", ".hidden", "__a.b__", "__a.c"])),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_a_shard_can_be_read_from_the_end_of_any_sample_on(
    names: list[str], tar_format: int
) -> None:
    """Where a sample ends the following one begins, whatever the names and formats."""
    members = [member(f"{n}/{name}", b"x" * 7 * n) for n, name in enumerate(names)]
    archive = pack(members, tar_format)

    def samples(begin: int) -> list[Sample]:
        file = io.BytesIO(archive[begin:])
        return list(group_samples(TarReader(file, URL, begin).files(), URL))

    found = samples(0)
    for number, last in enumerate(found, 1):
        assert last.end is not None
        assert samples(last.end) == found[number:]


def test_what_belongs_to_no_sample_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Names without extension, hidden files and WebDataset's own ones are left out, and logged."""
    others = ["README", "d/README", ".hidden", "d/.hidden.jpg", "e.", "__meta__/info.json"]
    with caplog.at_level(logging.INFO, logger="aisdatapipes"):
        assert keys(group("a.jpg", *others, "a.cls")) == [("a", {"jpg", "cls"})]
    assert caplog.messages == [f"{URL}: 6 members are dropped, they belong to no sample"]
    caplog.clear()
    assert keys(group("a.jpg")) == [("a", {"jpg"})]
    assert caplog.messages == []


def test_samples_come_in_the_order_of_the_shards(
    shard_urls: list[str], ais_cluster: LocalCluster
) -> None:
    """Every sample of every shard, complete, in order, in each epoch anew."""
    pipe = IterableWrapper(shard_urls).load_samples_by_ais(ais_cluster.endpoint)
    for _epoch in range(2):
        assert list(pipe) == [sample(n, shard_urls[n // 7]) for n in range(35)]


def test_samples_do_not_reach_over_shards(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """A key at the end of one shard and at the beginning of the next makes two samples."""
    urls = [f"ais://{ais_bucket.name}/{name}" for name in ("0.tgz", "1.tar")]
    put_object(ais_bucket, "0.tgz", gzip.compress(pack([member("a.jpg", b"0")])))
    put_object(ais_bucket, "1.tar", pack([member("a.cls", b"1")]))
    assert list(AISSampleLoader(urls, ais_cluster.endpoint)) == [
        {"__key__": "a", "__url__": urls[0], "jpg": b"0"},
        {"__key__": "a", "__url__": urls[1], "cls": b"1"},
    ]


def test_workers_share_the_shards(shard_urls: list[str], ais_cluster: LocalCluster) -> None:
    """Behind ``sharding_filter`` each sample comes once, from one of the workers."""
    shards = IterableWrapper(shard_urls).shuffle().sharding_filter()
    pipe = shards.load_samples_by_ais(ais_cluster.endpoint).shuffle(buffer_size=10)
    loader = DataLoader(pipe, batch_size=None, num_workers=2, multiprocessing_context="fork")
    found = sorted(loader, key=lambda found: found["__key__"])
    assert found == [sample(n, shard_urls[n // 7]) for n in range(35)]


def test_a_missing_shard(
    shard_urls: list[str], ais_bucket: Bucket, ais_cluster: LocalCluster
) -> None:
    """The shards before it are read; then it is an error that names it."""
    samples = iter(
        AISSampleLoader([shard_urls[0], f"ais://{ais_bucket.name}/9.tar"], ais_cluster.endpoint)
    )
    assert [next(samples)["__key__"] for _ in range(7)][-1] == "train/0006"
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '9\.tar'"):
        next(samples)


@pytest.mark.parametrize("end", [512, 1700, 15_000])
def test_a_shard_that_was_cut(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, end: int
) -> None:
    """An upload that broke raises, and names the shard."""
    put_object(ais_bucket, "cut.tar", shard(0, 7)[:end])
    url = f"ais://{ais_bucket.name}/cut.tar"
    with pytest.raises(errors.CutArchiveError, match=f"{url} ends"):
        list(AISSampleLoader([url], ais_cluster.endpoint))


def test_an_object_that_is_no_shard(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """It says so, and which one it is."""
    put_object(ais_bucket, "a.jpg", b"\xff\xd8" * 500)
    url = f"ais://{ais_bucket.name}/a.jpg"
    with pytest.raises(errors.BadArchiveError, match=f"{url} is no tar archive"):
        list(AISSampleLoader([url], ais_cluster.endpoint))


def test_the_length_is_the_one_given(unused_endpoint: str) -> None:
    """How many samples there are is not known before they are read."""
    assert len(AISSampleLoader([], unused_endpoint, length=5)) == 5
    with pytest.raises(TypeError, match="AISSampleLoader has no length"):
        len(AISSampleLoader([], unused_endpoint))
