"""Reading: the two functions that make a `ray.data.Dataset`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import ray.data
from ray.data import Dataset

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.etl import ETLCall
from aisdatapipes.keywords import known, refuse_unknown
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.sizing import sizes_of
from aisdatapipes.ray.datasource import AISDatasource
from aisdatapipes.ray.tables import ObjectTables, SampleTables, Tables
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, OnError, ReadOptions
from aisdatapipes.types import ETLConfig
from aisdatapipes.urls import is_utf8

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ObjectKeywords", "RayKeywords", "SampleKeywords", "read_ais", "read_ais_samples"]

_Made = Callable[[ObjectReader, "int | None"], Tables]


class RayKeywords(TypedDict, total=False):
    """Ray's own options, as its other readers have them: see `ray.data.read_datasource`."""

    concurrency: int | None
    override_num_blocks: int | None
    num_cpus: float | None
    num_gpus: float | None
    memory: float | None
    ray_remote_args: dict[str, Any] | None


class SampleKeywords(RayKeywords, total=False):
    """What the objects are, what the cluster makes of them, and what to do with errors."""

    etl_name: str | None
    etl: ETLConfig | None
    allow_empty: bool | None
    on_error: OnError
    max_errors: int | None


class ObjectKeywords(SampleKeywords, total=False):
    """The same, and how far each task reads ahead: fields of `ReadOptions`, or all of them."""

    verify: Literal["checksum"] | None
    max_inflight_bytes: int
    max_batch: int
    colocation: int
    read: ReadOptions


def read_ais(
    urls: str | Iterable[str] | Manifest,
    *,
    endpoint: str | None = None,
    settings: Settings | None = None,
    **options: Unpack[ObjectKeywords],
) -> Dataset:
    """Make a dataset of objects: a row for each, its ``url`` and its ``bytes``.

    The objects are listed now, once, by this process; they are read when the dataset is consumed.

    Args:
        urls: ``ais://bucket[/prefix]`` or patterns, as `Manifest.build` takes them, one or
            several; or a `Manifest`.
        endpoint: Address of the cluster, ``http://host:port``, which all machines of Ray's must
            reach; default ``$AIS_ENDPOINT`` of this process.
        settings: Time-outs, retries, and how to be let in. They go to the tasks, a token too;
            one that is in a variable or in a file must be there on every machine.
        options: `ObjectKeywords`. Of Ray's: ``override_num_blocks`` (how many tasks),
            ``concurrency`` (how many at a time), ``num_cpus``, ``num_gpus``, ``memory``,
            ``ray_remote_args``. Of this package's, as of its datasets: ``etl_name`` or ``etl``;
            ``allow_empty``; ``on_error``, which logs what it skips where Ray shows what tasks
            log, ``max_errors``, of each task; ``verify``, ``max_inflight_bytes``, of each task,
            ``max_batch``, ``colocation``, and ``read`` for all these together.

    Raises:
        TypeError: There is no such option.
        ValueError: An option is out of its range, or ``read`` has ``ordered=False``.
        AISPipeError: The listing failed. What fails while a task reads is raised where the
            dataset is consumed, as Ray's `RayTaskError` and as what it was, which is its
            ``cause``: ``except ObjectNotFoundError`` works.

    Example:
        >>> from aisdatapipes.ray import read_ais
        >>> images = read_ais("ais://caltech256/", override_num_blocks=2)
        >>> images.count(), images.schema().names
        (5, ['url', 'bytes'])
    """
    refuse_unknown("read_ais", options, ObjectKeywords)
    return _dataset(urls, endpoint, settings, options, ObjectTables)


def read_ais_samples(
    urls: str | Iterable[str] | Manifest,
    *,
    endpoint: str | None = None,
    settings: Settings | None = None,
    **options: Unpack[SampleKeywords],
) -> Dataset:
    """Make a dataset of the samples in tar shards, in WebDataset's form.

    A row has ``__key__``, ``__url__``, which is that of its shard, and a column of bytes for each
    extension. Where a sample has no such file it is null, or not there in what comes of a task
    whose samples all lack it; where Ray joins those with others, it is null. A task reads whole
    shards, each once and forward: so there are no more tasks than shards.

    Args:
        urls: The shards; see `read_ais`.
        endpoint: See there.
        settings: See there.
        options: `SampleKeywords`; see there. ``on_error`` may skip a shard, or its rest.

    Raises:
        TypeError: There is no such option.
        ValueError: An option is out of its range.
        AISPipeError: The listing failed; later as by `read_ais`, a `BadArchiveError` too.

    Example:
        >>> from aisdatapipes.ray import read_ais_samples
        >>> samples = read_ais_samples("ais://coco/train-{000000..000015}.tar", allow_empty=True)
        >>> samples.take_all()
        [{'__key__': '0001', '__url__': 'ais://coco/train-000000.tar', 'jpg': b'', 'cls': b''}]

    Source:
        ``ray.data.read_webdataset``, which reads a shard whole before its first row.
    """
    refuse_unknown("read_ais_samples", options, SampleKeywords)
    return _dataset(urls, endpoint, settings, options, SampleTables)


def _dataset(
    urls: str | Iterable[str] | Manifest,
    endpoint: str | None,
    settings: Settings | None,
    options: ObjectKeywords | SampleKeywords,
    make: _Made,
) -> Dataset:
    etl = ETLCall.of(options.get("etl_name"), options.get("etl"))
    reading, policy = ReadOptions.of(options), ErrorPolicy.of(options)
    if not reading.ordered:
        raise ValueError(
            "ordered is False, but a task that Ray runs again must give the same rows in the same "
            "order: leave it out"
        )
    manifest = _manifest(urls, endpoint, settings, options.get("allow_empty"))
    reader = ObjectReader(
        resolve_endpoint(endpoint or manifest.endpoint),
        etl,
        clusters=manifest.clusters,
        options=reading,
        policy=policy,
        settings=settings,
    )
    sizes = [max(0, size) for size in sizes_of(manifest, reader.request_for)]
    tables = make(reader, None if etl else max(sizes, default=0))
    datasource = AISDatasource(_checked(manifest.urls()), sizes, tables)
    return ray.data.read_datasource(datasource, **known(options, RayKeywords))


def _manifest(
    urls: str | Iterable[str] | Manifest,
    endpoint: str | None,
    settings: Settings | None,
    allow_empty: bool | None,
) -> Manifest:
    if isinstance(urls, Manifest):
        return urls
    return Manifest.build(urls, client_url=endpoint, settings=settings, allow_empty=allow_empty)


def _checked(urls: list[str]) -> list[str]:
    """Return the URLs, if a table can have them.

    Raises:
        InvalidURLError: One is no text.
    """
    for url in urls:
        if not is_utf8(url):
            raise InvalidURLError(
                f"{url!r} is not UTF-8, as a table needs: rename the object, or read it by "
                "AISIterDataset"
            )
    return urls
