"""Decoding on a real node: samples of pipes and of the shard reader, tuples, and what fails."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest
import torch
import webdataset as wds
from aistore.sdk import Bucket
from PIL import Image
from torch.utils.data import DataLoader

from aisdatapipes import AISSampleLoader, AISSampleTuples, AISShardReader
from aisdatapipes.errors import BadArchiveError, DecodingError
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import member, pack


def png(shade: int) -> bytes:
    """Return an image of one shade, 3 wide and 2 high."""
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (shade, 0, 0)).save(file, "png")
    return file.getvalue()


def shard_of(count: int) -> bytes:
    """Return a shard whose samples have an image, a class and, but for the first, a text."""
    members = []
    for number in range(count):
        members += [
            member(f"a/{number}.png", png(number)),
            member(f"a/{number}.cls", b"%d" % number),
        ]
        members += [member(f"a/{number}.txt", b"text")] if number else []
    return pack(members)


@pytest.fixture
def url(ais_bucket: Bucket, put_object: PutObject) -> str:
    """The URL of a shard of three samples."""
    put_object(ais_bucket, "0.tar", shard_of(3))
    return f"ais://{ais_bucket.name}/0.tar"


def red_of(key: str, data: bytes) -> Any:
    """Decode a PNG to the red of its first pixel: a handler of the user's."""
    return Image.open(io.BytesIO(data)).tobytes()[0] if key == ".png" else None


def plain(value: Any) -> Any:
    """Return something that can be compared."""
    return (
        value.tolist() if hasattr(value, "tolist") else getattr(value, "tobytes", lambda: value)()
    )


@pytest.mark.parametrize("image", ["pil", "rgb", "rgb8", "torchrgb", "torchrgb8", "l8"])
def test_samples_are_decoded_as_webdataset_does(
    url: str, ais_cluster: LocalCluster, image: str
) -> None:
    """The pipe gives what ``wds.WebDataset(…).decode(…)`` makes of the same samples."""
    samples = AISSampleLoader([url], ais_cluster.endpoint)
    expected = wds.filters.decode(image)(list(samples))
    found = [{name: plain(value) for name, value in one.items()} for one in samples.decode(image)]
    assert found == [{name: plain(value) for name, value in one.items()} for one in expected]
    assert [one["cls"] for one in found] == [0, 1, 2]


def test_decoded_samples_become_batches(url: str, ais_cluster: LocalCluster) -> None:
    """``.decode("torchrgb8").to_tuple("jpg;png", "cls")`` in workers, by torch's collate."""
    pipe = AISSampleLoader([url], ais_cluster.endpoint)
    pipe = pipe.decode("torchrgb8").to_tuple("jpg;png", "cls")
    images, classes = next(iter(DataLoader(pipe, batch_size=3, num_workers=1)))
    assert (images.shape, classes.tolist()) == (torch.Size([3, 3, 2, 3]), [0, 1, 2])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_shard_reader_decodes(ais_bucket: Bucket, url: str, workers: int) -> None:
    """``decode=`` in the process that reads, before `transform`; key and URL are kept."""
    reader = AISShardReader(ais_bucket, decode=["pil", red_of], show_progress=True)
    found = list(DataLoader(reader, batch_size=None, num_workers=workers))
    assert [files["cls"] for _, files in found] == [0, 1, 2]
    assert [files["png"].size for _, files in found] == [(3, 2)] * 3
    assert [(files.key, files.url) for _, files in found] == [(f"a/{n}", url) for n in range(3)]
    assert {files.bucket for _, files in found} == {f"ais://{ais_bucket.name}"}
    reds = AISShardReader(ais_bucket, decode=red_of, transform=lambda pair: pair[1]["png"])
    assert list(reds) == [0, 1, 2]


def test_a_file_that_others_have_stays_empty(ais_bucket: Bucket, put_object: PutObject) -> None:
    """What `ZeroDict` fills in is not decoded."""
    members = [("0.cls", b"7"), ("0.txt", b"seven"), ("1.txt", b"none")]
    put_object(ais_bucket, "0.tar", pack([member(*one) for one in members]))
    found = [files for _, files in AISShardReader(ais_bucket, decode="pil")]
    assert found == [{"cls": 7, "txt": "seven"}, {"txt": "none", "cls": b""}]


def test_a_file_that_cannot_be_decoded_is_named(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """With its sample, its extension and the shard's URL, also out of a worker."""
    put_object(ais_bucket, "0.tar", pack([member("a/b.png", b"no image")]))
    url = f"ais://{ais_bucket.name}/0.tar"
    said = re.escape(f"cannot decode a/b.png in {url} (UnidentifiedImageError: ")
    with pytest.raises(DecodingError, match=said):
        list(AISSampleLoader([url], ais_cluster.endpoint).decode("pil"))
    reader = AISShardReader(ais_bucket, decode="torchrgb")
    with pytest.raises(DecodingError, match=said):
        list(DataLoader(reader, batch_size=None, num_workers=1))


def test_a_field_that_a_sample_lacks_is_named(url: str, ais_cluster: LocalCluster) -> None:
    """The error has the sample, what it has and what was asked for."""
    samples = AISSampleLoader([url], ais_cluster.endpoint)
    assert [one[0] for one in samples.to_tuple("__key__ cls")] == ["a/0", "a/1", "a/2"]
    said = re.escape(f"sample 'a/0' in {url} has __key__, __url__, png, cls, and no jpg or txt:")
    with pytest.raises(BadArchiveError, match=said):
        list(AISSampleTuples(samples, "jpg;txt"))
    with pytest.raises(ValueError, match="without a field"):
        samples.to_tuple()


def test_an_unknown_format_is_refused(url: str, ais_cluster: LocalCluster) -> None:
    """At once, with those that there are."""
    with pytest.raises(ValueError, match="no image format 'torch8': there are l8, rgb8"):
        AISSampleLoader([url], ais_cluster.endpoint).decode("torch8")


def test_without_webdataset_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, ais_bucket: Bucket
) -> None:
    """Asking for it says what to install."""
    monkeypatch.setitem(sys.modules, "webdataset.autodecode", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'aisdatapipes[webdataset]'")):
        AISShardReader(ais_bucket, decode="pil", allow_empty=True)
