"""Read tasks, without Ray running: how they are cut, and the tables that they make."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from itertools import chain

import cloudpickle
import pyarrow as pa
import pytest
from aistore.sdk import Bucket
from hypothesis import given
from hypothesis import strategies as st
from ray.data import ReadTask

from aisdatapipes import Manifest, errors
from aisdatapipes.ray.cutting import cut
from aisdatapipes.ray.datasource import AISDatasource
from aisdatapipes.ray.tables import ObjectTables, SampleTables
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.testing import LocalCluster
from conftest import PutObject  # pyright: ignore[reportAttributeAccessIssue]
from support.tars import member, pack

MB = 10**6


@given(st.lists(st.integers(0, 10**12)), st.integers(1, 300))
def test_parts_are_everything_once(sizes: list[int], parts: int) -> None:
    """They follow each other without a gap, none is empty, and there are not too many."""
    ranges = cut(sizes, parts)
    assert list(chain.from_iterable(ranges)) == list(range(len(sizes)))
    assert all(ranges)
    assert len(ranges) <= parts


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 50))
def test_parts_are_about_equal(sizes: list[int], parts: int) -> None:
    """None has more than its share and one object."""
    costs = [size + 2**15 for size in sizes]
    most = sum(costs) / parts + max(costs)
    assert all(sum(costs[part.start : part.stop]) <= most for part in cut(sizes, parts))


def test_equal_objects_are_cut_evenly() -> None:
    """As many tasks as Ray wants, each with as many objects."""
    assert [len(part) for part in cut([5] * 3000, 100)] == [30] * 100


@pytest.fixture
def contents(ais_bucket: Bucket, put_object: PutObject) -> dict[str, bytes]:
    """Ten objects of random sizes, 20 MB together, by their URLs."""
    generator = random.Random(1)
    found = {}
    for number in range(10):
        data = generator.randbytes(1000) * generator.randrange(4000)
        put_object(ais_bucket, f"{number}", data)
        found[f"ais://{ais_bucket.name}/{number}"] = data
    return found


def tasks_of(urls: Sequence[str], cluster: LocalCluster, parts: int) -> list[ReadTask]:
    """Return read tasks of objects, as their workers get them."""
    manifest = Manifest.build(urls, client_url=cluster.endpoint)
    tables = ObjectTables(ObjectReader(cluster.endpoint), max(manifest.sizes))
    source = AISDatasource(manifest.urls(), list(manifest.sizes), tables)
    return [cloudpickle.loads(cloudpickle.dumps(task)) for task in source.get_read_tasks(parts)]


def test_tables_are_bounded_and_the_same_again(
    contents: dict[str, bytes], ais_cluster: LocalCluster
) -> None:
    """A task gives tables of up to 8 MiB, and when it is run again the same ones."""
    task = tasks_of(list(contents), ais_cluster, 1)[0]
    tables = list(task())
    assert list(task()) == tables
    assert len(tables) > 2
    assert max(table.nbytes for table in tables if isinstance(table, pa.Table)) < 8.4 * MB
    rows = pa.concat_tables(tables).to_pylist()  # pyright: ignore[reportArgumentType]
    assert {row["url"]: row["bytes"] for row in rows} == contents


def test_tasks_carry_their_own_urls(contents: dict[str, bytes], ais_cluster: LocalCluster) -> None:
    """No other objects, no file of this machine; and what they weigh is said exactly."""
    tasks = tasks_of(list(contents), ais_cluster, 4)
    files = [task.metadata.input_files for task in tasks]
    assert list(chain.from_iterable(file or () for file in files)) == list(contents)
    assert len(tasks) > 2
    for task, urls in zip(tasks, files, strict=True):
        pickled = cloudpickle.dumps(task)
        assert urls
        assert all((url.encode() in pickled) == (url in urls) for url in contents)
        assert task.metadata.size_bytes == sum(table.nbytes for table in task())  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("most_bytes", "kind"),
    [(2**31 - 1, pa.binary()), (2**31, pa.large_binary()), (None, pa.large_binary())],
)
def test_the_type_of_contents(most_bytes: int | None, kind: pa.DataType) -> None:
    """Where one may have more than 2 GiB, the column is one that can hold it."""
    tables = ObjectTables(ObjectReader("http://localhost:1"), most_bytes)
    assert tables.schema.field("bytes").type == kind


@pytest.mark.parametrize("names", [(b"a\xe4.jpg",), (b"a.\xe4",)])
def test_a_member_that_is_no_text(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, names: tuple[bytes]
) -> None:
    """A table cannot have it; the error names the sample and its shard."""
    files = [member(name.decode(errors="surrogateescape")) for name in names]
    put_object(ais_bucket, "0.tar", pack(files))
    tables = SampleTables(ObjectReader(ais_cluster.endpoint), 10_000)
    url = f"ais://{ais_bucket.name}/0.tar"
    with pytest.raises(errors.BadArchiveError, match=rf"sample 'a.*{url} has a name that is not"):
        list(tables.read([url], 10_000))


def test_big_tasks_have_a_function_with_a_name(ais_cluster: LocalCluster) -> None:
    """Ray wants to name it in a warning where a task has more than 1 MiB of URLs."""
    urls = [f"ais://b/{zlib.crc32(b'%d' % number):08x}" for number in range(10)]
    tables = ObjectTables(ObjectReader(ais_cluster.endpoint), 0)
    (task,) = AISDatasource(urls, [0] * 10, tables).get_read_tasks(1)
    assert task.read_fn.__name__ == "read"
