"""Streams of shards for the tests, whose files hold the name of their stream and their number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from aistore.sdk import Bucket, DataShard
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISMultiShardStream
from aisdatapipes.errors import AISPipeError
from conftest import PutObject
from support.tars import contents, member, pack

Tuples = list[tuple[bytes, ...]]


def put_stream(
    bucket: Bucket, put_object: PutObject, name: str, sizes: Sequence[int]
) -> list[bytes]:
    """Put shards with so many files each; return the contents in the order of the archives."""
    contents = [content_of(name, number) for number in range(sum(sizes))]
    # In another order by name than in the archive.
    members = iter([member(f"{n * 7 % 10}/{n:04d}", content) for n, content in enumerate(contents)])
    for shard, size in enumerate(sizes):
        shard_of = pack(list(itertools.islice(members, size)))
        put_object(bucket, f"{name}-{shard:03d}.tar", shard_of)
    return contents


def content_of(name: str, number: int) -> bytes:
    """What file `number` of a stream holds: a kilobyte or so, of a length of its own."""
    return b"%s %d " % (name.encode(), number) * (1 + number * 37 % 200)


def source(bucket: Bucket, name: str, url: str | None = None, **options: Any) -> DataShard:
    """Return what the SDK has for such a stream; seen through `url`, if that is given."""
    endpoint = url or bucket.client.base_url.removesuffix("/v1")
    return DataShard(endpoint, bucket.name, prefix=f"{name}-", **options)


class Streams:
    """Two or more streams in a bucket, and what a dataset of them should yield.

    Attributes:
        tuples: All of it, in order.
    """

    def __init__(self, bucket: Bucket, put_object: PutObject, **sizes: Sequence[int]) -> None:
        self.bucket = bucket
        self.names = list(sizes)
        self.contents = [put_stream(bucket, put_object, name, sizes[name]) for name in sizes]
        self.tuples: Tuples = list(zip(*self.contents, strict=False))
        self._put_object = put_object

    def dataset(self, url: str | None = None, **options: Any) -> AISMultiShardStream:
        """Make the dataset."""
        sources = [source(self.bucket, name, url) for name in self.names]
        return AISMultiShardStream(sources, **options)

    def url(self, shard: str) -> str:
        """Return the URL of a shard, whose name is given without ``.tar``."""
        return f"ais://{self.bucket.name}/{shard}.tar"

    def content(self, shard: str) -> bytes:
        """Return what a shard holds."""
        return b"".join(self.bucket.object(f"{shard}.tar").get_reader())

    def put(self, shard: str, content: bytes) -> None:
        """Put other content in place of a shard."""
        self._put_object(self.bucket, f"{shard}.tar", content)

    def delete(self, shard: str) -> None:
        """Delete a shard."""
        self.bucket.object(f"{shard}.tar").delete()

    def cut(self, shard: str, files: int) -> None:
        """Let a shard break behind its first few files, in the header of the next one."""
        content = self.content(shard)
        kept = contents(content)[:files]
        self.put(shard, content[: tar_bytes([tuple(one for _, one in kept)]) + 100])


def tar_bytes(tuples: Tuples) -> int:
    """How much of the shards these files are."""
    return sum(512 + -(-len(content) // 512) * 512 for found in tuples for content in found)


def without(tuples: Tuples, lost: range) -> Tuples:
    """Return the tuples whose numbers are not lost."""
    return [found for number, found in enumerate(tuples) if number not in lost]


def loader_of(dataset: AISMultiShardStream, workers: int, start: str | None = None) -> DataLoader:
    """Return torch's loader, in batches of three."""
    return DataLoader(
        dataset,
        batch_size=3,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context=start or ("fork" if workers else None),
    )


def stateful(dataset: AISMultiShardStream, workers: int, batch: int = 3) -> StatefulDataLoader:
    """Return the loader that has a state."""
    return StatefulDataLoader(dataset, batch_size=batch, collate_fn=list, num_workers=workers)


def flat(batches: Iterable[Tuples], most: int | None = None) -> Tuples:
    """Return the tuples of all batches, or of the first few."""
    return list(itertools.chain.from_iterable(itertools.islice(batches, most)))


def error_of(loader: Iterable[Any]) -> AISPipeError:
    """Return what reading all of it raises.

    The iterator goes at once. `pytest.raises` would keep it until it is collected as garbage,
    and then torch waits 5 s for each worker.
    """
    try:
        for _ in loader:
            pass
    except AISPipeError as error:
        return error.with_traceback(None)
    raise AssertionError("nothing was raised")
