"""The manifest on a real node: which objects it has, in which order, and how much it holds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from aistore.sdk import Bucket, Client
from hypothesis import given
from hypothesis import strategies as st

from aisdatapipes import errors
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

CONTENTS = {"a/1": b"1", "a/2": b"22", "a2": b"333", "b/1": b"4444", "c #?": b""}


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with `CONTENTS`."""
    for name, content in CONTENTS.items():
        put_object(ais_bucket, name, content)
    return ais_bucket


def test_a_bucket_with_its_sizes(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """Every object is there with URL, name and size, in the order of the names."""
    url = f"ais://{filled.name}/"
    manifest = Manifest.build(url, client_url=ais_cluster.endpoint)
    expected = [(url + name, name, len(content)) for name, content in CONTENTS.items()]
    assert list(manifest) == expected
    assert manifest.names() == list(CONTENTS)
    assert manifest.urls([3, 0]) == [url + "b/1", url + "a/1"]
    assert manifest.sizes.tolist() == [1, 2, 3, 4, 0]
    assert repr(manifest) == f"<Manifest of 5 objects in ais://{filled.name}>"


def test_it_is_a_sequence(filled: Bucket) -> None:
    """Negative indices count from the end, and what is outside raises with the length."""
    manifest = Manifest.build(ais_source_list=filled)
    assert isinstance(manifest[-1], ManifestEntry)
    assert (manifest[-1].name, manifest[-5].name) == ("c #?", "a/1")
    for outside in (5, -6):
        with pytest.raises(IndexError, match=f"no object {outside}: the manifest has 5"):
            manifest[outside]


def test_urls_come_before_sources(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """Both together are one list: URLs first, then sources, each in its own order."""
    prefixes = [f"ais://{filled.name}/b/", f"ais://{filled.name}/a2"]
    group = filled.objects(obj_names=["c #?", "a/2"])
    manifest = Manifest.build(
        prefixes, [group, filled.object("a/1")], client_url=ais_cluster.endpoint
    )
    assert manifest.names() == ["b/1", "a2", "c #?", "a/2", "a/1"]
    assert manifest.sizes.tolist() == [4, 3, -1, -1, -1]


@pytest.mark.parametrize(
    ("prefixes", "names"),
    [
        (["a/", "a", "b"], ["a/1", "a/2", "a2", "b/1"]),
        (["a", "a/", "a2"], ["a/1", "a/2", "a2"]),
        (["b", "", "c"], ["b/1", "a/1", "a/2", "a2", "c #?"]),
    ],
)
def test_overlapping_prefixes_give_each_object_once(
    filled: Bucket, ais_cluster: LocalCluster, prefixes: list[str], names: list[str]
) -> None:
    """An object under several prefixes has its place under the first one."""
    urls = [f"ais://{filled.name}/{prefix}" for prefix in prefixes]
    assert Manifest.build(urls, client_url=ais_cluster.endpoint).names() == names
    manifest = Manifest.build(ais_source_list=filled, prefix_map={filled: prefixes})
    assert manifest.names() == names


def test_given_names_are_taken_once(filled: Bucket) -> None:
    """What a group and a listing share comes once; a name that no listing has is kept."""
    group = filled.objects(obj_names=["a/2", "gone", "a/2"])
    assert Manifest.build(ais_source_list=[group, filled]).names() == [
        "a/2",
        "gone",
        "a/1",
        "a2",
        "b/1",
        "c #?",
    ]
    assert Manifest.build(ais_source_list=[filled, group]).names() == [*CONTENTS, "gone"]


def test_other_buckets_are_others(
    filled: Bucket, ais_cluster: LocalCluster, put_object: PutObject
) -> None:
    """Equal names in two buckets are two objects, each with its own URL."""
    other = ais_cluster.client().bucket(f"{filled.name}-2").create()
    try:
        put_object(other, "a2", b"")
        manifest = Manifest.build(ais_source_list=[other, filled], prefix_map={filled: "a2"})
        assert manifest.urls() == [f"ais://{bucket.name}/a2" for bucket in (other, filled)]
    finally:
        other.delete()


def test_prefix_map_takes_equal_sources(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """A key holds for sources of the same bucket and names, whichever client made them."""
    again = Client(f"{ais_cluster.endpoint}/").bucket(filled.name)
    assert Manifest.build(ais_source_list=[filled], prefix_map={again: "b/"}).names() == ["b/1"]
    groups = [bucket.objects(obj_names=["a/1", "b/1"]) for bucket in (filled, again)]
    sources = [groups[0], again.object("c #?")]
    manifest = Manifest.build(ais_source_list=sources, prefix_map={groups[1]: ["b/"]})
    assert manifest.names() == ["b/1", "c #?"]


def test_prefix_map_of_none_is_all_and_of_nothing_nothing(filled: Bucket) -> None:
    """None stands for every object, an empty list for no object."""
    group = filled.objects(obj_names=["a/1"])
    mapped = Manifest.build(ais_source_list=[filled, group], prefix_map={filled: [], group: None})
    assert mapped.names() == ["a/1"]


def test_a_key_without_a_source_is_refused(filled: Bucket) -> None:
    """A prefix that would never be used is an error that names the key."""
    other = filled.objects(obj_names=["a/1"])
    with pytest.raises(ValueError, match=f"ObjectGroup ais://{filled.name}/, which is none of the"):
        Manifest.build(ais_source_list=[filled], prefix_map={other: "a"})


def test_sources_of_another_cluster(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """Their URLs say where they are, and the manifest whom it was told to trust."""
    elsewhere = ais_cluster.endpoint.replace("127.0.0.1", "localhost")
    group = Client(f"{elsewhere}/").bucket(filled.name).objects(obj_names=["a2"])
    manifest = Manifest.build(ais_source_list=[filled, group], prefix_map={filled: "a"})
    assert manifest.endpoint == ais_cluster.endpoint
    assert manifest.clusters == (elsewhere,)
    assert manifest.urls()[2:] == [
        f"ais://{filled.name}/a2",
        f"{elsewhere}/v1/objects/{filled.name}/a2?provider=ais",
    ]


def test_the_fingerprint_is_of_the_data(
    filled: Bucket, ais_cluster: LocalCluster, put_object: PutObject
) -> None:
    """It is the same at another address, and another one when a size or the order changes."""

    def fingerprint(prefixes: list[str], endpoint: str) -> str:
        urls = [f"ais://{filled.name}/{prefix}" for prefix in prefixes]
        return Manifest.build(urls, client_url=endpoint).fingerprint

    first = fingerprint([""], ais_cluster.endpoint)
    assert fingerprint([""], ais_cluster.endpoint.replace("127.0.0.1", "localhost")) == first
    assert fingerprint(["a", "b", "c"], ais_cluster.endpoint) == first
    assert fingerprint(["b", ""], ais_cluster.endpoint) != first
    put_object(filled, "a2", b"longer")
    assert fingerprint([""], ais_cluster.endpoint) != first


def test_nothing_given_is_refused() -> None:
    """The error says what to give."""
    with pytest.raises(ValueError, match="give urls_list='ais://bucket/prefix' or ais_source"):
        Manifest.build([])


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"urls_list": "ais://no-such-bucket"}, errors.BucketNotFoundError),
        ({"urls_list": "bkt/obj"}, errors.InvalidURLError),
        ({"urls_list": "http://localhost/v1/objects/b/o"}, errors.InvalidURLError),
        ({"ais_source_list": ["ais://b"]}, TypeError),
    ],
)
def test_errors_come_at_once(
    ais_cluster: LocalCluster, arguments: dict, kind: type[Exception]
) -> None:
    """What cannot be listed raises where the manifest is built."""
    with pytest.raises(kind):
        Manifest.build(**arguments, client_url=ais_cluster.endpoint)


def test_an_empty_one_is_legal(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """It has no object, and one warning says where none was found."""
    prefix = f"ais://{filled.name}/nothing"
    with pytest.warns(errors.NoObjectsWarning, match=f"no objects in {prefix}; list the") as found:
        manifest = Manifest.build(prefix, client_url=ais_cluster.endpoint)
    assert (len(manifest), list(manifest), len(found)) == (0, [], 1)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda name: not {"", ".", "..", "~"} & set(name.split("/"))
)


@given(st.lists(NAMES, unique=True))
def test_any_names_come_back(names: list[str]) -> None:
    """Whatever an object may be called, its name and URL are kept, in order."""
    urls = [f"ais://b/{name}" for name in names]
    manifest = Manifest.from_urls(urls + urls[:1])
    assert (manifest.names(), manifest.urls()) == (names, urls)


def test_memory_per_object(tmp_path: Path) -> None:
    """Of 100,000 objects Python holds next to nothing, and the file 20 bytes beside each name."""
    names = [f"train/{number:09}.jpg" for number in range(100_000)]
    path = tmp_path / "manifest"
    Manifest.from_urls(f"ais://b/{name}" for name in names).save(path)
    tracemalloc.start()
    manifest = Manifest.load(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beside_names = path.stat().st_size - sum(map(len, names))
    assert held < len(manifest)
    assert beside_names < 21 * len(manifest)
