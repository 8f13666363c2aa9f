"""The pipes on a real node: names, arguments, what they yield, errors."""

from __future__ import annotations

import copy
import io
import pickle
import tarfile
import uuid
from collections.abc import Callable

import pytest
from aistore.sdk import Bucket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import IterDataPipe

import aisdatapipes
from aisdatapipes import AISFileLister, AISFileLoader, AISSourceLister, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

HOSTILE_NAMES = [
    "a b",
    "#1",
    "what?",
    "%41",
    "100%",
    "a+b&c=d",
    "back\\slash",
    "Zoë/写真/🖼.jpg",
    "quote'\"",
    "semi;colon:@",
    "x" * 1000,
    "d/" * 400 + "deep",
]
UNICODE_NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@pytest.fixture
def endpoint(ais_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster's endpoint, also set as ``$AIS_ENDPOINT``."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    return ais_cluster.endpoint


@pytest.fixture
def urls(ais_bucket: Bucket, put_object: PutObject) -> list[str]:
    """The URLs of twelve objects, each of which holds its own number."""
    for number in range(12):
        put_object(ais_bucket, f"{number:02d}.txt", b"%d" % number)
    return [f"ais://{ais_bucket.name}/{number:02d}.txt" for number in range(12)]


def contents(pipe: IterDataPipe) -> list[bytes]:
    """Read everything a loader yields."""
    return [stream.read() for _, stream in pipe]


def test_the_chain_of_the_seed(urls: list[str], endpoint: str, ais_bucket: Bucket) -> None:
    """Lister and loader, as classes with a plain list and the seed's keywords."""
    image_prefix = [f"ais://{ais_bucket.name}/"]
    dp_urls = AISFileLister(url=endpoint, source_datapipe=image_prefix)
    assert list(dp_urls)[:5] == urls[:5]
    dp_files = AISFileLoader(url=endpoint, source_datapipe=dp_urls)
    url, file = next(iter(dp_files))
    assert (url, file.read()) == (urls[0], b"0")


def test_the_functional_chain(urls: list[str], endpoint: str, ais_bucket: Bucket) -> None:
    """The same by functional names, with the endpoint from the environment."""
    assert endpoint
    pipe = IterableWrapper([f"ais://{ais_bucket.name}"]).list_files_by_ais().load_files_by_ais()
    assert contents(pipe) == [b"%d" % number for number in range(len(urls))]


def test_an_endpoint_without_scheme(urls: list[str], endpoint: str) -> None:
    """``localhost:8080`` is enough, as in the seed."""
    assert contents(AISFileLoader(urls[:1], endpoint.removeprefix("http://"))) == [b"0"]


@pytest.mark.parametrize("pipe", [AISFileLister, AISFileLoader])
def test_no_endpoint_is_an_error_at_construction(
    pipe: Callable[..., IterDataPipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without argument and environment the construction says what to do."""
    monkeypatch.delenv("AIS_ENDPOINT", raising=False)
    with pytest.raises(errors.EndpointError, match="set AIS_ENDPOINT"):
        pipe(["ais://b"])


@pytest.mark.parametrize("pipe", [AISFileLister, AISFileLoader])
@pytest.mark.parametrize("source", ["ais://b", b"ais://b", 7])
def test_a_source_that_is_no_list_is_refused(
    pipe: Callable[..., IterDataPipe], source: object
) -> None:
    """A single string would be read as a list of characters; the error says so at once."""
    with pytest.raises(TypeError, match="list of URLs"):
        pipe(source, "localhost:1")


def test_a_long_list_stays_out_of_the_errors(endpoint: str) -> None:
    """Torch names the pipe that failed with its arguments; the URLs are not repeated there."""
    with pytest.raises(errors.InvalidURLError) as caught:
        contents(AISFileLoader(["no URL", *("ais://b/o" for _ in range(5000))], endpoint))
    assert len(str(caught.value)) < 1000


def test_length(urls: list[str], endpoint: str) -> None:
    """The lister knows its length if told; the loader has its own or that of its source."""
    lister = AISFileLister(["ais://b"], endpoint)
    with pytest.raises(TypeError, match="length="):
        len(lister)
    assert len(AISFileLister(["ais://b"], endpoint, 0)) == 0
    assert len(AISFileLoader(urls, endpoint)) == 12
    assert len(AISFileLoader(urls, endpoint, 7)) == 7
    with pytest.raises(TypeError):
        len(AISFileLoader(lister, endpoint))


@pytest.mark.parametrize("full_urls", [False, True])
def test_hostile_names_arrive_byte_for_byte(
    ais_bucket: Bucket, put_object: PutObject, endpoint: str, full_urls: bool
) -> None:
    """What the listers yield the loader reads, whatever characters are in the names."""
    for name in HOSTILE_NAMES:
        put_object(ais_bucket, name, name.encode())
    prefix = f"ais://{ais_bucket.name}/"
    lister = AISSourceLister([ais_bucket]) if full_urls else AISFileLister([prefix], endpoint)
    assert contents(AISFileLoader(lister, endpoint)) == sorted(n.encode() for n in HOSTILE_NAMES)


@given(st.sets(UNICODE_NAMES, min_size=1, max_size=12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_name_arrives_byte_for_byte(
    ais_cluster: LocalCluster, put_object: PutObject, names: set[str]
) -> None:
    """For every set of names, those that are URLs of objects come back with their bytes."""
    bucket = ais_cluster.client().bucket(f"names-{uuid.uuid4().hex}").create()
    base = f"ais://{bucket.name}/"
    kept: dict[str, bytes] = {}
    for name in sorted(names):
        try:
            AISFileLoader([], ais_cluster.endpoint)
            aisdatapipes.urls.parse_object_url(base + name)  # pyright: ignore[reportAttributeAccessIssue]
        except errors.InvalidURLError:
            continue
        if not any(name.startswith(f"{other}/") for other in kept):
            put_object(bucket, name, name.encode())
            kept[name] = name.encode()
    try:
        lister = AISFileLister([base], ais_cluster.endpoint, allow_empty=not kept or None)
        read = {url: s.read() for url, s in AISFileLoader(lister, ais_cluster.endpoint)}
    finally:
        bucket.delete()
    assert read == {base + name: content for name, content in kept.items()}


def test_full_urls_of_another_cluster_are_refused(endpoint: str) -> None:
    """Data does not decide where requests go."""
    url = "http://127.0.0.1:1/v1/objects/b/o?provider=ais"
    with pytest.raises(errors.InvalidURLError, match="on another cluster than"):
        contents(AISFileLoader([url], endpoint))


def test_iterating_twice_gives_the_same(urls: list[str], endpoint: str) -> None:
    """An epoch leaves nothing behind that changes the next one."""
    pipe = AISFileLoader(urls, endpoint)
    next(iter(pipe))
    assert contents(pipe) == contents(pipe) == [b"%d" % number for number in range(12)]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))]
)
def test_copies_work_at_any_time(
    urls: list[str],
    endpoint: str,
    ais_bucket: Bucket,
    copied: Callable[[IterDataPipe], IterDataPipe],
) -> None:
    """Pipes pickle and copy before, during and after iteration, and the copies read all."""
    expected = [b"%d" % number for number in range(len(urls))]
    for lister in (
        AISFileLister(IterableWrapper([f"ais://{ais_bucket.name}"]), endpoint),
        AISSourceLister([ais_bucket]),
    ):
        pipe = lister.load_files_by_ais(endpoint)
        before = copied(pipe)
        iterator = iter(pipe)
        assert next(iterator)[1].read() == b"0"
        during = copied(pipe)
        assert contents(during) == expected
        assert contents(pipe) == expected
        assert contents(copied(pipe)) == contents(before) == expected


@pytest.mark.parametrize("whole_object_bytes", [0, Settings().whole_object_bytes])
def test_tar_shards(
    ais_bucket: Bucket, put_object: PutObject, endpoint: str, whole_object_bytes: int
) -> None:
    """``load_from_tar`` reads shards in memory and streamed ones, also shuffled."""
    members: dict[str, bytes] = {}
    for shard in range(2):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for number in range(20):
                info = tarfile.TarInfo(f"{shard}-{number}.txt")
                info.size = 600
                members[info.name] = f"{shard}-{number}".encode().ljust(600)
                tar.addfile(info, io.BytesIO(members[info.name]))
        put_object(ais_bucket, f"coco-train2014-seg-{shard:06d}.tar", packed.getvalue())
    settings = Settings(whole_object_bytes=whole_object_bytes, read_ahead_bytes=1000)
    shards = AISFileLister([f"ais://{ais_bucket.name}/"]).load_files_by_ais(settings=settings)
    in_order = [(path.rpartition("/")[2], s.read()) for path, s in shards.load_from_tar()]
    assert in_order == list(members.items())
    shuffled = shards.load_from_tar().shuffle()
    assert {path.rpartition("/")[2]: s.read() for path, s in shuffled} == members
    assert endpoint


@pytest.mark.parametrize(
    "url", ["", "ais:", "ais://", "s3:///bucket", "bkt/obj", "nope://b/o", "ais://b", "ais://b/"]
)
def test_bad_object_urls(endpoint: str, url: str) -> None:
    """A bad URL is an `AISError` and a `ValueError`, raised when its turn comes."""
    with pytest.raises(errors.InvalidURLError) as caught:
        contents(AISFileLoader([url], endpoint))
    assert isinstance(caught.value, ValueError)


def test_a_missing_object(urls: list[str], endpoint: str) -> None:
    """What comes before a missing object is read, then the error names it."""
    pipe = iter(AISFileLoader([urls[0], f"{urls[0]}.gone", urls[1]], endpoint))
    assert next(pipe)[1].read() == b"0"
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object '00.txt.gone' in ais://"):
        next(pipe)


def test_a_missing_bucket(endpoint: str) -> None:
    """Reading from a bucket that is not there tells bucket from object."""
    with pytest.raises(
        errors.BucketNotFoundError, match="no bucket ais://no-such-bucket"
    ) as caught:
        contents(AISFileLoader(["ais://no-such-bucket/o"], endpoint))
    assert caught.value.status_code == 404
