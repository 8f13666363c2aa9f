"""The pipes under torch's DataLoader: workers, start methods, sharding, errors."""

from __future__ import annotations

import pytest
from aistore.sdk import Bucket
from torch.utils.data import DataLoader, IterDataPipe
from torch.utils.data.datapipes.utils.common import StreamWrapper

from aisdatapipes import AISFileLoader, AISSourceLister, Settings, errors
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject

WORKERS = [(0, None), (2, "fork"), (1, "spawn"), (2, "forkserver")]
COUNT = 23


def read(item: tuple[str, StreamWrapper]) -> tuple[str, bytes]:
    """Return the name and the content of what the loader yields."""
    url, stream = item
    return url.rpartition("/")[2], stream.read()


def loader(pipe: IterDataPipe, workers: int, start_method: str | None) -> DataLoader:
    """Return torch's loader of `pipe`, item by item."""
    return DataLoader(
        pipe, batch_size=None, num_workers=workers, multiprocessing_context=start_method
    )


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket with `COUNT` objects, each of which holds its own name."""
    for number in range(COUNT):
        put_object(ais_bucket, f"{number:03d}", b"%03d" % number)
    return ais_bucket


EXPECTED = [(f"{number:03d}", b"%03d" % number) for number in range(COUNT)]


@pytest.mark.parametrize(("workers", "start_method"), WORKERS)
def test_each_object_comes_once(
    filled: Bucket, ais_cluster: LocalCluster, workers: int, start_method: str | None
) -> None:
    """Behind ``sharding_filter`` the workers share the objects, in every epoch anew."""
    url = ais_cluster.endpoint
    pipe = (
        IterableWrapper([f"ais://{filled.name}/"])
        .list_files_by_ais(url)
        .shuffle()
        .sharding_filter()
        .load_files_by_ais(url)
        .map(read)
    )
    loaded = loader(pipe, workers, start_method)
    for _epoch in range(2):
        assert sorted((name, content) for name, content in loaded) == EXPECTED


@pytest.mark.parametrize(("workers", "start_method"), [*WORKERS[:2], WORKERS[-1]])
def test_errors_keep_their_type(
    filled: Bucket, ais_cluster: LocalCluster, workers: int, start_method: str | None
) -> None:
    """A missing object in a worker is caught by the same handlers as in the main process."""
    # Every worker delivers an object first: torch stumbles when it ends one that still starts.
    names = ("000", "001", "gone", "gone")
    urls = IterableWrapper([f"ais://{filled.name}/{name}" for name in names]).sharding_filter()
    pipe = AISFileLoader(urls, ais_cluster.endpoint).map(read)
    with pytest.raises(errors.ObjectNotFoundError, match="no object 'gone'") as caught:
        list(loader(pipe, workers, start_method))
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.status_code == 404


def test_settings_reach_spawned_workers(unused_endpoint: str) -> None:
    """A worker gives up after the retries that were set, not after the SDK's five minutes."""
    pipe = AISFileLoader(["ais://b/o"], unused_endpoint, settings=Settings(max_retries=0))
    with pytest.raises(errors.ClusterUnreachableError, match=unused_endpoint):
        list(loader(pipe, 1, "spawn"))


def test_streams_cross_processes(filled: Bucket, ais_cluster: LocalCluster) -> None:
    """A stream that is not read in the worker can be read in the main process."""
    pipe = AISFileLoader(
        AISSourceLister([filled]), ais_cluster.endpoint, settings=Settings(whole_object_bytes=0)
    )
    streams = [stream for _, stream in loader(pipe, 1, "fork")]
    assert [stream.read() for stream in streams] == [content for _, content in EXPECTED]
