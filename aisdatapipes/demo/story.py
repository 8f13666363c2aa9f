"""The demo from beginning to end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch.utils.data import IterDataPipe

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.demo.buckets import fresh_bucket, put_files
from aisdatapipes.demo.digits import ALL_IMAGES, count_images, digit_shards, digit_tree
from aisdatapipes.demo.errors import one_line_errors
from aisdatapipes.demo.pipelines import Sample, file_pipe, shard_pipe
from aisdatapipes.demo.summary import Row, say, summarize
from aisdatapipes.demo.training import Result, train_and_test
from aisdatapipes.testing import LocalCluster

__all__ = ["tell"]


@dataclass(frozen=True)
class _Storage:
    """One way to store the images.

    Attributes:
        form: Its name for the reader.
        files: What to store, name of the object to content.
        training: What the names of the objects for training begin with.
        held_out: What the names of the objects for the test begin with.
        make_pipe: The pipeline that reads the objects under a prefix of a cluster.
    """

    form: str
    files: Mapping[str, bytes]
    training: str
    held_out: str
    make_pipe: Callable[[str, str], IterDataPipe[Sample]]


def tell(endpoint: str | None, images: int | None) -> None:
    """Run the demo; arguments and errors as those of `aisdatapipes.demo.run_demo`."""
    tree = digit_tree(ALL_IMAGES if images is None else images)
    # Of few images small ones, so that every worker has one.
    shards = digit_shards(tree, samples_per_shard=max(min(120, len(tree) // 14), 1))
    storages = [
        _Storage("PNG files", tree, "train/", "test/", file_pipe),
        _Storage("tar shards", shards, "digits-train-", "digits-test-", shard_pipe),
    ]
    counts = count_images(tree)
    with one_line_errors(), _cluster(endpoint) as url:
        rows = [_row(storage, _train_from(storage, url, counts), counts) for storage in storages]
    summarize(rows, len(tree))


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


def _train_from(storage: _Storage, endpoint: str, counts: dict[str, int]) -> Result:
    """Store the images in a bucket, train and test from there, remove the bucket."""
    with fresh_bucket(endpoint, storage.form.replace(" ", "-").lower()) as bucket:
        put_files(bucket, storage.files, endpoint)
        say(f"\n{storage.form}: stored {len(storage.files):,} objects in ais://{bucket.name}/")
        training = f"ais://{bucket.name}/{storage.training}"
        held_out = f"ais://{bucket.name}/{storage.held_out}"
        _list_five(training, endpoint)
        result = train_and_test(
            storage.make_pipe(training, endpoint), storage.make_pipe(held_out, endpoint), counts
        )
    say(
        f"trained on {counts['train']:,} images in {result.seconds:.1f} s; "
        f"{result.accuracy:.1%} of {counts['test']} held-out ones are right"
    )
    return result


def _list_five(prefix: str, endpoint: str) -> None:
    urls = list(IterableWrapper([prefix]).list_files_by_ais(url=endpoint))[:5]
    say("[" + ",\n ".join(map(repr, urls)) + "]")


def _row(storage: _Storage, result: Result, counts: dict[str, int]) -> Row:
    return Row(
        form=storage.form,
        objects=len(storage.files),
        stored_bytes=sum(map(len, storage.files.values())),
        training_objects=sum(name.startswith(storage.training) for name in storage.files),
        training_images=counts["train"],
        result=result,
    )
