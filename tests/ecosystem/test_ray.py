"""Ray Data: every object once, whatever happens to the workers, and errors that can be read."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from aistore.sdk import Bucket
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray.data import DataContext, Dataset
from ray.exceptions import RayTaskError

from aisdatapipes import Manifest, ReadOptions, Settings, errors
from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.ray import read_ais, read_ais_samples
from aisdatapipes.testing import LocalCluster
from benchmarks.storing import Store
from conftest import PutObject  # pyright: ignore[reportAttributeAccessIssue]
from support.fault_rules import Latency, Status
from support.faults import FaultProxy
from support.processes import becomes, is_alive
from support.tars import member, pack, sample, shard

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("default"),  # Ray warns of itself
]

COUNT = 3_000


def content_of(number: int) -> bytes:
    """Return the content of an object: 12 KB, another one for each."""
    return (b"%08d" % number) * 1500


@pytest.fixture(scope="module")
def many(ais_cluster: LocalCluster) -> Iterator[str]:
    """The URL of `COUNT` objects."""
    store = Store(ais_cluster.endpoint)
    store.create_bucket("many")
    store.put_all("many", ((f"{number:04d}", content_of(number)) for number in range(COUNT)))
    yield "ais://many/"
    ais_cluster.client().bucket("many").delete()


@pytest.fixture
def few(ais_bucket: Bucket, put_object: PutObject) -> str:
    """The URL of five objects, which hold their own names."""
    for number in range(5):
        put_object(ais_bucket, str(number), b"%d" % number)
    return f"ais://{ais_bucket.name}/"


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Return all rows."""
    return dataset.take_all(limit=None)


def with_pid(batch: pa.Table) -> pa.Table:
    """Add the process that reads: Ray puts this into the task that reads."""
    return batch.append_column("pid", pa.array([os.getpid()] * batch.num_rows, pa.int64()))


@pytest.fixture
def small_blocks() -> Iterator[None]:
    """Ray hands on what tasks have in pieces of 2 MiB, and so while they read."""
    context = DataContext.get_current()
    before, context.target_max_block_size = context.target_max_block_size, 2 * 2**20
    yield
    context.target_max_block_size = before


def read_with_pids(many: str, endpoint: str) -> Iterator[list[tuple[str, bytes, int]]]:
    """Yield rows as they come, from two tasks, with the process that had read them."""
    dataset = read_ais(many, endpoint=endpoint, override_num_blocks=2, max_batch=100)
    dataset = dataset.map_batches(with_pid, batch_format="pyarrow", batch_size=None)
    tables: Iterable[Any] = dataset.iter_batches(batch_format="pyarrow", batch_size=None)
    for table in tables:
        yield [tuple(row.values()) for row in table.to_pylist()]


def assert_exact(rows: list[tuple[str, bytes, int]]) -> None:
    """Make sure that every object is there once, with its own content."""
    assert sorted(url for url, _, _ in rows) == [f"ais://many/{n:04d}" for n in range(COUNT)]
    assert all(content == content_of(int(url[-4:])) for url, content, _ in rows)


def pids_of_tasks(rows: list[tuple[str, bytes, int]]) -> list[set[int]]:
    """Return which processes read each half, which is a task."""
    found: dict[bool, set[int]] = defaultdict(set)
    for url, _, pid in rows:
        found[int(url[-4:]) < COUNT // 2].add(pid)
    return [found[True], found[False]]


@pytest.mark.usefixtures("small_blocks")
def test_every_object_comes_once_from_two_workers(many: str, ais_cluster: LocalCluster) -> None:
    """Nothing is missing and nothing comes twice; two processes share the work."""
    rows = [row for some in read_with_pids(many, ais_cluster.endpoint) for row in some]
    assert_exact(rows)
    first, second = pids_of_tasks(rows)
    assert len(first | second) == 2


@pytest.mark.usefixtures("small_blocks")
def test_every_object_comes_once_where_a_worker_is_killed(many: str, faults: FaultProxy) -> None:
    """Another one reads its task again; what it had given does not come twice."""
    with faults.rule(Latency(seconds=0.3, matches="/v1/ml/moss", times=None)):
        tables = read_with_pids(many, faults.endpoint)
        rows = next(tables)
        victim = rows[0][2]
        assert is_alive(victim)
        os.kill(victim, signal.SIGKILL)
        assert becomes(lambda: not is_alive(victim))
        rows += [row for some in tables for row in some]
    assert_exact(rows)
    tasks = [pids for pids in pids_of_tasks(rows) if victim in pids]
    assert any(len(pids) > 1 for pids in tasks), "it was killed after its work"


def test_there_is_one_listing(few: str, faults: FaultProxy) -> None:
    """The driver lists; the tasks do not, nor does a second epoch."""
    dataset = read_ais(few, endpoint=faults.endpoint, override_num_blocks=3)
    assert len(rows_of(dataset)) == len(rows_of(dataset)) == 5
    assert faults.count("GET /v1/buckets/") == 1
    assert faults.count("HEAD ") == 0


def test_ray_knows_count_bytes_and_columns_before_it_reads(many: str, faults: FaultProxy) -> None:
    """They are those that it has in memory afterwards, to the byte."""
    dataset = read_ais(many, endpoint=faults.endpoint, override_num_blocks=3)
    assert (dataset.count(), dataset.size_bytes()) == (COUNT, dataset.materialize().size_bytes())
    schema = dataset.schema()
    assert schema is not None
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "url": pa.string(),
        "bytes": pa.binary(),
    }
    assert len(dataset.input_files()) == COUNT


def test_options_of_ray(few: str, ais_cluster: LocalCluster) -> None:
    """They do what they do for Ray's own readers."""
    dataset = read_ais(
        few,
        endpoint=ais_cluster.endpoint,
        override_num_blocks=5,
        concurrency=1,
        num_cpus=0.5,
        ray_remote_args={"max_retries": 1},
    )
    assert dataset.materialize().num_blocks() == 5


def test_a_limit(many: str, faults: FaultProxy) -> None:
    """Few rows are had without reading everything."""
    rows = read_ais(many, endpoint=faults.endpoint, override_num_blocks=100).take(3)
    assert [row["url"][-4:] for row in rows] == ["0000", "0001", "0002"]
    assert faults.count("/v1/ml/moss") < 50


def test_samples(shard_urls: list[str], ais_cluster: LocalCluster) -> None:
    """Every sample is a row of key, shard and files."""
    rows = rows_of(read_ais_samples(shard_urls, endpoint=ais_cluster.endpoint))
    expected = [sample(number, shard_urls[number // 7]) for number in range(35)]
    assert sorted(rows, key=lambda row: row["__key__"]) == expected


@pytest.mark.parametrize("tasks", [1, 2])
def test_samples_of_different_files(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, tasks: int
) -> None:
    """What a sample lacks is null, whether the others are read by the same task or not."""
    put_object(ais_bucket, "1.tar", pack([member("a.jpg", b"1"), member("a.cls", b"2")]))
    put_object(ais_bucket, "2.tar", pack([member("b.cls", b"3"), member("b.png", b"4")]))
    urls = f"ais://{ais_bucket.name}/"
    dataset = read_ais_samples(urls, endpoint=ais_cluster.endpoint, override_num_blocks=tasks)
    rows = dataset.sort("__key__").to_pandas().drop(columns="__url__").to_dict("list")
    assert rows.pop("__key__") == ["a", "b"]
    there = {name: [one if isinstance(one, bytes) else None for one in rows[name]] for name in rows}
    assert there == {"jpg": [b"1", None], "cls": [b"2", b"3"], "png": [None, b"4"]}


def test_samples_are_written_as_they_were_read(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster
) -> None:
    """Ray's own writer, over the filesystem, makes shards of the same samples."""
    url, endpoint = f"ais://{ais_bucket.name}", ais_cluster.endpoint
    files = [member("a.jpg", b"1"), member("a.cls", b"7"), member("b.cls", b"8")]
    put_object(ais_bucket, "in/0.tar", pack(files))
    filesystem = PyFileSystem(FSSpecHandler(AISFileSystem(endpoint=endpoint)))
    read_ais_samples(f"{url}/in/", endpoint=endpoint).write_webdataset(
        f"{ais_bucket.name}/out", filesystem=filesystem, encoder=None
    )
    rows = rows_of(read_ais_samples(f"{url}/out/", endpoint=endpoint))
    found = {row["__key__"]: (row.get("jpg"), row["cls"]) for row in rows}
    assert found == {"a": (b"1", b"7"), "b": (None, b"8")}


def test_nothing_to_read(ais_bucket: Bucket, ais_cluster: LocalCluster) -> None:
    """An empty bucket is an empty dataset, with columns."""
    url, endpoint = f"ais://{ais_bucket.name}/", ais_cluster.endpoint
    dataset = read_ais(url, endpoint=endpoint, allow_empty=True)
    schema = dataset.schema()
    assert schema is not None
    assert (dataset.count(), rows_of(dataset), schema.names) == (0, [], ["url", "bytes"])
    assert rows_of(read_ais_samples(url, endpoint=endpoint, allow_empty=True)) == []


def some_missing(few: str) -> Manifest:
    """Return a manifest of two objects, and two that are not there."""
    return Manifest.from_urls([few + name for name in ("1", "x", "2", "y")])


def test_an_error_is_what_it_was(few: str, ais_cluster: LocalCluster) -> None:
    """What a task raises is caught by our classes, and names object and cluster."""
    dataset = read_ais(some_missing(few), endpoint=ais_cluster.endpoint)
    with pytest.raises(errors.ObjectNotFoundError, match=r"no object 'x' in ais://") as caught:
        rows_of(dataset)
    assert isinstance(caught.value, RayTaskError)
    cause = caught.value.cause
    assert type(cause) is errors.ObjectNotFoundError
    assert ais_cluster.endpoint in str(cause)


def test_skipping(few: str, ais_cluster: LocalCluster, capfd: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is left out, not counted, and named in the log that Ray shows."""
    dataset = read_ais(some_missing(few), endpoint=ais_cluster.endpoint, on_error="skip")
    assert dataset.count() == 2
    assert sorted(row["bytes"] for row in rows_of(dataset)) == [b"1", b"2"]
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        shown += "".join(capfd.readouterr())
        return f"skipped {few}x: no object 'x'" in shown

    assert becomes(is_shown)


def test_a_function_for_errors(few: str, ais_cluster: LocalCluster) -> None:
    """It is called where the task runs; rows say what was replaced."""
    dataset = read_ais(
        some_missing(few),
        endpoint=ais_cluster.endpoint,
        on_error=lambda url, error: f"{type(error).__name__} {url[-1]}".encode(),
    )
    found = sorted(row["bytes"] for row in rows_of(dataset))
    assert found == [b"1", b"2", b"ObjectNotFoundError x", b"ObjectNotFoundError y"]


def test_too_many_errors(few: str, ais_cluster: LocalCluster) -> None:
    """Each task may skip some, and not more."""
    options: dict[str, Any] = {"endpoint": ais_cluster.endpoint, "on_error": "skip"}
    one_task = read_ais(some_missing(few), max_errors=1, override_num_blocks=1, **options)
    with pytest.raises(errors.TooManyErrorsError, match="max_errors is 1"):
        rows_of(one_task)
    each_alone = read_ais(some_missing(few), max_errors=1, override_num_blocks=4, **options)
    assert len(rows_of(each_alone)) == 2


def test_a_cut_shard(
    ais_bucket: Bucket, put_object: PutObject, ais_cluster: LocalCluster, shard_urls: list[str]
) -> None:
    """It raises what it is, or gives what it has."""
    put_object(ais_bucket, "0.tar", shard(0, 7)[:4096])
    endpoint = ais_cluster.endpoint
    with pytest.raises(errors.CutArchiveError, match=r"0\.tar"):
        rows_of(read_ais_samples(shard_urls, endpoint=endpoint))
    rows = rows_of(read_ais_samples(shard_urls, endpoint=endpoint, on_error="skip"))
    assert 28 < len(rows) < 35


def test_a_cluster_that_fails_while_tasks_read(few: str, faults: FaultProxy) -> None:
    """A refusal is not skipped, and Ray does not repeat it."""
    dataset = read_ais(few, endpoint=faults.endpoint, on_error="skip", override_num_blocks=1)
    refused = Status(401, matches="/v1/(ml|objects)/", times=None)
    with faults.rule(refused), pytest.raises(errors.AuthenticationError):
        rows_of(dataset)


def test_a_cluster_that_is_not_there(unused_endpoint: str) -> None:
    """The listing says so, in the driver."""
    with pytest.raises(errors.ClusterUnreachableError, match=unused_endpoint):
        read_ais("ais://b/", endpoint=unused_endpoint, settings=Settings(max_retries=0))


def test_a_name_that_is_no_text(ais_cluster: LocalCluster) -> None:
    """A table cannot have it, and that is said before anything is read."""
    name = b"\xe4".decode(errors="surrogateescape")
    odd = Manifest.from_urls([f"ais://many/{name}"])
    with pytest.raises(errors.InvalidURLError, match="is not UTF-8"):
        read_ais(odd, endpoint=ais_cluster.endpoint)


def test_options_that_are_none(ais_cluster: LocalCluster) -> None:
    """They raise at once, and say what there is."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'paralelism': it takes"):
        read_ais("ais://b/", paralelism=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="same rows in the same order"):
        read_ais("ais://b/", endpoint=ais_cluster.endpoint, read=ReadOptions(ordered=False))
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        read_ais("ais://b/", on_error="ignore")  # pyright: ignore[reportArgumentType]
