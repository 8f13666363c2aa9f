"""Names of AIStore's own plugin: datasets, options and hooks that old code has."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aistore.sdk import Bucket, Client
from aistore.sdk.enums import Colocation
from torch.utils.data import DataLoader

from aisdatapipes import (
    AISBaseIterDataset,
    AISBaseMapDataset,
    AISBatchIterDataset,
    AISIterDataset,
    AISMapDataset,
    AISParallelMapDataset,
    AISShardReader,
    DynamicBatchSampler,
    ReadOptions,
    errors,
)
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.pairs import fill
from support.tars import shard

COUNT = 20
BATCHES = "GET /v1/ml/moss/.*pid="
HOOKS = "ignore:_(obj_list|reset_iterator|get_worker_iter_info):DeprecationWarning"


def as_it_is(sample: Any) -> Any:
    """Collate nothing."""
    return sample


@pytest.fixture
def pairs(ais_bucket: Bucket, put_object: PutObject) -> list[tuple[str, bytes]]:
    """The objects in the bucket."""
    return fill(ais_bucket, put_object, COUNT)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (
            AISBatchIterDataset,
            "ais_source_list client prefix_map show_progress max_batch_size output_format "
            "streaming colocation partition_sources_by_worker cont_on_err",
        ),
        (AISParallelMapDataset, "ais_source_list prefix_map num_workers"),
    ],
)
def test_positional_parameters(kind: type, parameters: str) -> None:
    """The positional parameters are AIStore's, in their order."""
    found = inspect.signature(kind).parameters.values()
    names = [one.name for one in found if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert names == parameters.split()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_dataset_of_batches(
    ais_bucket: Bucket, pairs: list[tuple[str, bytes]], faults: FaultProxy, workers: int
) -> None:
    """It reads in batches of at most the size given, with the hint that the SDK would send."""
    client = Client(faults.endpoint)
    dataset = AISBatchIterDataset(
        client.bucket(ais_bucket.name),
        client,
        None,
        False,
        5,
        ".tar.lz4",
        False,
        Colocation.TARGET_AWARE,
        True,
        True,
        shuffle=True,
    )
    assert dataset.client_url == faults.endpoint
    assert sorted(DataLoader(dataset, None, num_workers=workers, collate_fn=as_it_is)) == pairs
    sent = [one.path for one in faults.requests if re.match("/v1/ml/moss", one.path)]
    assert len(sent) >= COUNT // 5
    assert all("coloc=1" in path for path in sent)


def test_the_client_says_where(
    ais_bucket: Bucket, pairs: list[tuple[str, bytes]], ais_cluster: LocalCluster
) -> None:
    """With URLs as sources, the client alone has the address, and the token."""
    client = Client(ais_cluster.endpoint, token="a.token")
    dataset = AISBatchIterDataset(f"ais://{ais_bucket.name}", client)
    assert list(dataset) == pairs
    assert dataset._reader.settings.token == "a.token"


def test_what_cannot_be_read(ais_bucket: Bucket, pairs: list[tuple[str, bytes]]) -> None:
    """``cont_on_err`` skips and counts; its default raises, and `on_error` goes before."""
    datasets = [
        AISBatchIterDataset(ais_bucket, cont_on_err=True),
        AISBatchIterDataset(ais_bucket),
        AISBatchIterDataset(ais_bucket, cont_on_err=True, on_error="raise"),
    ]
    ais_bucket.object(pairs[3][0]).delete()
    assert list(datasets[0]) == pairs[:3] + pairs[4:]
    assert datasets[0].counters().skipped == 1
    for dataset in datasets[1:]:
        with pytest.raises(errors.ObjectNotFoundError):
            list(dataset)


def test_a_colocation_that_aistore_does_not_have(ais_bucket: Bucket) -> None:
    """The level that AIStore has not implemented says so, another one what to give."""
    with pytest.raises(NotImplementedError, match=r"Colocation\.TARGET_AWARE"):
        AISBatchIterDataset(ais_bucket, colocation=Colocation.TARGET_AND_SHARD_AWARE)
    with pytest.raises(ValueError, match="colocation is 3"):
        ReadOptions(colocation=3)


def test_the_dataset_of_parallel_downloads(
    ais_bucket: Bucket, pairs: list[tuple[str, bytes]], faults: FaultProxy
) -> None:
    """Content has the methods of the SDK's buffer, and a batch is one request."""
    dataset = AISParallelMapDataset(
        f"ais://{ais_bucket.name}/000", None, 4, client_url=faults.endpoint
    )
    assert (dataset.num_workers, len(dataset)) == (4, 10)
    for name, buffer in DataLoader(dataset, None, collate_fn=as_it_is):
        with buffer:
            assert (name, buffer.tobytes(), bytes(buffer.buf)) == (name, dict(pairs)[name], buffer)
            assert type(buffer.tobytes()) is bytes
        buffer.close()
    before = faults.count(BATCHES)
    assert dataset.__getitems__(range(10)) == pairs[:10]
    assert faults.count(BATCHES) == before + 1


@pytest.mark.parametrize("kind", [AISIterDataset, AISBatchIterDataset])
def test_sources_by_worker(
    kind: type[AISIterDataset], ais_bucket: Bucket, pairs: list[tuple[str, bytes]]
) -> None:
    """``partition_sources_by_worker`` is taken, and the workers share all objects as ever."""
    dataset = kind(ais_bucket, partition_sources_by_worker=True)
    assert sorted(DataLoader(dataset, None, num_workers=2, collate_fn=as_it_is)) == pairs


def test_shards_by_worker(ais_bucket: Bucket, put_object: PutObject) -> None:
    """A shard reader takes ``partition_sources_by_worker`` too."""
    put_object(ais_bucket, "0.tar", shard(0, 3))
    assert len(list(AISShardReader(ais_bucket, partition_sources_by_worker=True))) == 3


@pytest.mark.parametrize("kind", [AISMapDataset, AISIterDataset, AISShardReader])
def test_a_url_where_a_source_is_expected(
    kind: Any,
    ais_bucket: Bucket,
    put_object: PutObject,
    monkeypatch: pytest.MonkeyPatch,
    ais_cluster: LocalCluster,
) -> None:
    """A URL alone, several, or one among sources is a prefix as in ``urls_list``, after these."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    for name in ("a/0", "b/0", "c/0"):
        put_object(ais_bucket, f"{name}.tar", shard(0, 1))
    url = f"ais://{ais_bucket.name}"
    group = ais_bucket.objects(obj_names=["b/0.tar"])
    names = [
        kind(sources, **options).manifest.names()
        for sources, options in [
            (url, {}),
            ([f"{url}/b", f"{url}/a"], {}),
            ((f"{url}/{one}" for one in "ca"), {}),
            ([group, f"{url}/a"], {}),
            (f"{url}/a", {"urls_list": f"{url}/c"}),
        ]
    ]
    found = ["".join(name[0] for name in some) for some in names]
    assert found == ["abc", "ba", "ca", "ab", "ca"]


class OldIter(AISBaseIterDataset):
    """A subclass as AIStore's CIFAR-10 notebook has one: several samples of each object."""

    def __init__(self, source: Any, prefix_map: Any = None) -> None:
        super().__init__(source, prefix_map)
        self._reset_iterator()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        self._reset_iterator()
        objects, worker = self._get_worker_iter_info()
        one: Any
        for one in objects:
            size = len(one.get_reader().read_all())
            assert size == one.props_cached.size
            yield from ((f"{one.name}{worker}", number) for number in range(2))


class OldMap(AISBaseMapDataset):
    """A subclass that reads by the SDK's objects."""

    def __getitem__(self, index: int) -> tuple[str, bytes]:
        one: Any = self._obj_list[index]
        return one.name, one.get_reader().read_all()

    def __len__(self) -> int:
        return len(self._obj_list)


@pytest.mark.filterwarnings(HOOKS, "ignore:Length of IterableDataset")
@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "forkserver")])
def test_iterating_hooks(
    ais_bucket: Bucket, pairs: list[tuple[str, bytes]], workers: int, method: str | None
) -> None:
    """A subclass by AIStore's hooks gives each sample once, in every epoch, with its worker."""
    dataset = OldIter(ais_bucket, {ais_bucket: ["000", "001"]})
    loader = DataLoader(dataset, None, num_workers=workers, multiprocessing_context=method)
    for _epoch in range(2):
        found = list(loader)
        assert sorted((name.partition(" ")[0], number) for name, number in found) == [
            (name, number) for name, _ in pairs for number in range(2)
        ]
        marks = {name.partition(" ")[2] for name, _ in found}
        assert marks == ({"(Worker 0)", "(Worker 1)"} if workers else {""})


@pytest.mark.filterwarnings(HOOKS)
def test_indexing_hooks(ais_bucket: Bucket, pairs: list[tuple[str, bytes]]) -> None:
    """A subclass that reads by ``_obj_list`` works, with negative indices, slices and samplers."""
    dataset = OldMap(ais_bucket)
    assert [dataset[index] for index in (0, -1)] == [pairs[0], pairs[-1]]
    assert sorted(DataLoader(dataset, None, num_workers=2, collate_fn=as_it_is)) == pairs
    assert [one.name for one in dataset._obj_list[3:5]] == [pairs[3][0], pairs[4][0]]
    objects: Any = dataset._obj_list
    assert [one.props_cached.size for one in objects] == [len(one) for _, one in pairs]
    assert sum(map(len, DynamicBatchSampler(dataset, 2000))) == COUNT


@pytest.mark.parametrize(
    ("use", "instead"),
    [
        (lambda url: AISIterDataset(url)._reset_iterator(), r"share\(\)"),
        (
            lambda url: AISIterDataset(url)._get_worker_iter_info(),
            r"self\.read\(self\.share\(\)\)",
        ),
        (lambda url: AISMapDataset(url)._obj_list, r"self\.read\(index\)"),
    ],
)
def test_hooks_name_what_is_ours(
    ais_bucket: Bucket, put_object: PutObject, use: Any, instead: str
) -> None:
    """Each old hook warns where it is called, and says what to write."""
    put_object(ais_bucket, "name", b"content")
    with pytest.warns(DeprecationWarning, match=instead) as found:
        use(ais_bucket)
    assert found[0].filename == __file__
