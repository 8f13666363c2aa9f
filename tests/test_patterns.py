"""Patterns in place of prefixes: braces, globs, names that look like them, and what has nothing."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from itertools import accumulate

import pytest
from aistore.sdk import Bucket
from braceexpand import braceexpand
from hypothesis import assume, given
from hypothesis import strategies as st

from aisdatapipes import AISFileLister, AISIterDataset, AISSourceLister, Manifest
from aisdatapipes.errors import InvalidURLError, NoObjectsError, NoObjectsWarning
from aisdatapipes.listing.matching import matching
from aisdatapipes.listing.patterns import Pattern, expand_braces
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

NAMES = [
    "train-0.tar",
    "train-0.tar.bak",
    "train-1.tar",
    "train-10.tar",
    "train/a.tar",
    "train/deep/b.tar",
    "val-{0..1}.tar",
    "val-0.tar",
    "what?.tar",
    "what1.tar",
]
MEANT = {
    "train-{0,1}.tar": ["train-0.tar", "train-1.tar"],
    "train-{1,0}.tar": ["train-1.tar", "train-0.tar"],
    "train-{10..0..5}.tar": ["train-10.tar", "train-0.tar"],
    "train-{0..1}": ["train-0.tar", "train-0.tar.bak", "train-1.tar", "train-10.tar"],
    "{train/,what1.tar}": ["train/a.tar", "train/deep/b.tar", "what1.tar"],
    "train-*.tar": ["train-0.tar", "train-1.tar", "train-10.tar"],
    "train-?.tar": ["train-0.tar", "train-1.tar"],
    "train-[!0-8]*": [],
    "*.tar": [
        "train-0.tar",
        "train-1.tar",
        "train-10.tar",
        "val-0.tar",
        "val-{0..1}.tar",
        "what1.tar",
        "what?.tar",
    ],
    "train/**": ["train/a.tar", "train/deep/b.tar"],
    "**/b.tar": ["train/deep/b.tar"],
    "tra*/": ["train/a.tar", "train/deep/b.tar"],
    "{train-?,train/*}.tar": ["train-0.tar", "train-1.tar", "train/a.tar"],
    "val-{0..1}.tar": ["val-{0..1}.tar"],  # there is one of this very name
    "what?.tar": ["what?.tar"],
    "what[1?].tar": ["what1.tar", "what?.tar"],
}

TEXTS = st.text("{},.-0129ab", max_size=14)


@pytest.fixture(scope="module")
def filled(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[Bucket]:
    """A bucket with an empty object under each of `NAMES`."""
    bucket = ais_cluster.client().bucket("patterns").create()
    for name in NAMES:
        put_object(bucket, name, b"")
    yield bucket
    bucket.delete()


def meant(pattern: str, names: list[str]) -> list[str]:
    """Return which of some names a prefix or pattern means."""

    def under(prefix: str) -> Iterator[str]:
        return (name for name in names if name.startswith(prefix))

    return list(matching(pattern, under, str, pattern, allow_empty=True))


@given(TEXTS)
def test_braces_are_expanded_as_by_webdataset(text: str) -> None:
    """What its own library makes of a text whose braces are balanced, in the same order."""
    depths = list(accumulate({"{": 1, "}": -1}.get(mark, 0) for mark in text))
    assume(not depths or (min(depths) >= 0 and depths[-1] == 0))
    assert list(expand_braces(text)) == list(braceexpand(text, escape=False))


@given(st.text("ab[]!-*?.", max_size=8), st.lists(st.text("ab-!].[", min_size=1), max_size=8))
def test_globs_are_the_standard_library_s(glob: str, names: list[str]) -> None:
    """Among names without a slash, a glob means what `fnmatch` says."""
    assume(Pattern.is_one(glob) and not any(name.startswith(glob) for name in names))
    try:
        found = meant(glob, sorted(set(names)))
    except InvalidURLError:
        assert re.search(r"(.)-(.)", glob)
        return
    assert found == [name for name in sorted(set(names)) if fnmatch.fnmatchcase(name, glob)]


@given(st.lists(st.text("ab{},*?[]./1", min_size=1), min_size=1), st.data())
def test_a_name_is_within_reach_whatever_it_looks_like(
    names: list[str], data: st.DataObject
) -> None:
    """A prefix of some name means all that begins so, as if there were no patterns."""
    name = data.draw(st.sampled_from(names))
    prefix = name[: data.draw(st.integers(0, len(name)))]
    assert meant(prefix, names) == [one for one in names if one.startswith(prefix)]


@given(st.lists(st.text("ab1.", min_size=1), unique=True), st.lists(st.text("ab1.", min_size=1)))
def test_braces_mean_each_name_once_in_their_order(names: list[str], parts: list[str]) -> None:
    """If one of them is a name, they are names; else prefixes."""
    assume(len(parts) > 1)
    found = meant("{" + ",".join(parts) + "}", names)
    parts = list(dict.fromkeys(parts))
    if set(parts) & set(names):
        assert found == [part for part in parts if part in names]
    else:
        under = (name for part in parts for name in names if name.startswith(part))
        assert set(found) == set(under)
        assert len(found) == len(set(found))


@pytest.mark.parametrize("pattern", MEANT)
def test_every_place_that_takes_a_prefix_takes_a_pattern(
    filled: Bucket, ais_cluster: LocalCluster, pattern: str
) -> None:
    """Both listers, ``urls_list=``, ``prefix_map=`` and a manifest, on a real node."""
    url, endpoint = f"ais://{filled.name}/{pattern}", ais_cluster.endpoint
    urls = AISFileLister([url], url=endpoint, allow_empty=True)
    assert [one.removeprefix(f"ais://{filled.name}/") for one in urls] == MEANT[pattern]
    full = AISSourceLister([filled], pattern, allow_empty=True)
    assert len(list(full)) == len(MEANT[pattern])
    by_source = Manifest.build(
        ais_source_list=filled, prefix_map={filled: pattern}, allow_empty=True
    )
    assert by_source.names() == MEANT[pattern]
    dataset = AISIterDataset(urls_list=url, client_url=endpoint, allow_empty=True)
    assert dataset.manifest.names() == MEANT[pattern]


def test_overlapping_patterns_give_each_object_once(
    filled: Bucket, ais_cluster: LocalCluster
) -> None:
    """Patterns, prefixes and patterns again: an object comes at its first place."""
    texts = ["what1.tar", "train-?.tar", "train-", "{train/,what}"]
    urls = [f"ais://{filled.name}/{text}" for text in texts]
    names = Manifest.build(urls, client_url=ais_cluster.endpoint).names()
    first = ["what1.tar", "train-0.tar", "train-1.tar", "train-0.tar.bak", "train-10.tar"]
    assert names == [*first, "train/a.tar", "train/deep/b.tar", "what?.tar"]


def test_object_groups_take_patterns(filled: Bucket) -> None:
    """Names that are given are narrowed as a listing is."""
    group = filled.objects(obj_names=NAMES[:4])
    manifest = Manifest.build(ais_source_list=group, prefix_map={group: "*-{1,0}.tar"})
    assert manifest.names() == ["train-1.tar", "train-0.tar"]
    assert len(list(AISSourceLister(group, "train-?.tar"))) == 2


@pytest.mark.parametrize("prefix", ["none", "none-{0..3}.tar", "none*"])
def test_nothing_is_said_or_refused(filled: Bucket, ais_cluster: LocalCluster, prefix: str) -> None:
    """By default a warning names the prefix; ``allow_empty`` makes it an error, or silent."""
    url, endpoint = f"ais://{filled.name}/{prefix}", ais_cluster.endpoint
    whole = re.escape(f"no objects in {url}; ")
    with pytest.warns(NoObjectsWarning, match=whole):
        assert list(AISFileLister([url], url=endpoint)) == []
    with pytest.warns(NoObjectsWarning, match=whole):
        AISIterDataset(urls_list=[f"ais://{filled.name}/train-", url], client_url=endpoint)
    with pytest.raises(NoObjectsError, match=whole):
        list(AISFileLister([url], url=endpoint, allow_empty=False))
    with pytest.raises(FileNotFoundError, match=whole):
        Manifest.build(url, client_url=endpoint, allow_empty=False)
    assert len(Manifest.build(url, client_url=endpoint, allow_empty=True)) == 0


def test_names_of_braces_that_are_missing_are_named(
    filled: Bucket, ais_cluster: LocalCluster
) -> None:
    """Some of a hundred shards that are not there are never left out in silence."""
    url, endpoint = f"ais://{filled.name}/train-{{0..3}}.tar", ais_cluster.endpoint
    said = re.escape(f"no object for 2 of the names in {url}: train-2.tar, train-3.tar")
    with pytest.warns(NoObjectsWarning, match=said):
        manifest = Manifest.build(url, client_url=endpoint)
    assert manifest.names() == ["train-0.tar", "train-1.tar"]
    with pytest.raises(NoObjectsError, match=said):
        list(AISFileLister([url], url=endpoint, allow_empty=False))


def test_many_members_are_listed_by_few_requests() -> None:
    """One listing for each folder, of what all its members begin with."""
    assert Pattern("train-{0000..4999}.tar").prefixes() == ["train-"]
    assert Pattern("{train,val}/{00..99}.tar").prefixes() == ["train/", "val/"]
    assert Pattern("{a*,a/b/c,a/b}").prefixes() == ["a"]


@pytest.mark.parametrize("text", ["x-{0..9999999}.tar", "x[z-a].tar"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """Too many members, or a set with nothing in it."""
    with pytest.raises(InvalidURLError):
        meant(text, ["y"])
