"""The demo from beginning to end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.demo.buckets import fresh_bucket, put_files
from aisdatapipes.demo.class_folders import ClassFolders
from aisdatapipes.demo.digits import digits
from aisdatapipes.demo.errors import one_line_errors
from aisdatapipes.demo.material import Material
from aisdatapipes.demo.pipelines import Sample, file_pipe, shard_pipe
from aisdatapipes.demo.summary import Row, say, summarize, summarize_own
from aisdatapipes.demo.training import train_and_test
from aisdatapipes.testing import LocalCluster

__all__ = ["tell"]


@dataclass(frozen=True)
class _Storage:
    """One way to store the images.

    Attributes:
        form: Its name for the reader.
        files: What to store, name of the object to content.
        prefix: What the names of the objects begin with, before ``train`` or ``test``.
        suffix: What comes behind it.
        make_pipe: The pipeline that reads the objects under a prefix of a cluster.
    """

    form: str
    files: Mapping[str, bytes]
    prefix: str
    suffix: str
    make_pipe: Callable[..., IterDataPipe[Sample]]


def tell(endpoint: str | None, images: int | None, data: str | None = None) -> None:
    """Run the demo; arguments and errors as those of `aisdatapipes.demo.run_demo`."""
    if data is None:
        rows = _train(endpoint, digits(images), "PNG files")
        summarize(rows, rows[0].objects)
        return
    folders = ClassFolders.read(data, images)
    for line in folders.report():
        say(line)
    summarize_own(_train(endpoint, folders.material(), "files"), folders.guess())


def _train(endpoint: str | None, material: Material, name: str) -> list[Row]:
    storages = [
        _Storage(name, material.files, "", "/", file_pipe),
        _Storage("tar shards", material.shards, material.shard_prefix, "-", shard_pipe),
    ]
    with one_line_errors(), _cluster(endpoint) as url:
        return [_train_from(storage, url, material) for storage in storages]


@contextmanager
def _cluster(endpoint: str | None) -> Iterator[str]:
    """Yield the address of the cluster: the given one, ``$AIS_ENDPOINT``, or a local one's."""
    if endpoint or os.environ.get("AIS_ENDPOINT"):
        url = resolve_endpoint(endpoint)
        say(f"AIStore cluster at {url}")
        yield url
        return
    with LocalCluster() as cluster:
        say(f"local AIStore cluster at {cluster.endpoint}, for the length of this demo")
        yield cluster.endpoint


def _train_from(storage: _Storage, endpoint: str, material: Material) -> Row:
    """Store the images in a bucket, train and test from there, remove the bucket."""
    counts, form = material.counts, material.form
    with fresh_bucket(endpoint, storage.form.replace(" ", "-").lower()) as bucket:
        stored = put_files(bucket, storage.files, endpoint)
        say(f"\n{storage.form}: stored {len(storage.files):,} objects in ais://{bucket.name}/")
        training, held_out = (
            f"ais://{bucket.name}/{storage.prefix}{split}{storage.suffix}"
            for split in ("train", "test")
        )
        _list_five(training, endpoint)
        make_pipe = partial(storage.make_pipe, endpoint=endpoint, form=form)
        result = train_and_test(make_pipe(training), make_pipe(held_out), counts, form)
    say(
        f"trained on {counts['train']:,} images in {result.seconds:.1f} s; "
        f"{result.accuracy:.1%} of {counts['test']} held-out ones are right"
    )
    begin = f"{storage.prefix}train{storage.suffix}"
    read = sum(name.startswith(begin) for name in storage.files)
    return Row(storage.form, len(storage.files), stored, read, counts["train"], result)


def _list_five(prefix: str, endpoint: str) -> None:
    urls = list(IterableWrapper([prefix]).list_files_by_ais(url=endpoint))[:5]
    say("[" + ",\n ".join(map(repr, urls)) + "]")
