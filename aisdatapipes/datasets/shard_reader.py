"""The iterable dataset of tar shards: their samples, each as the files that share a name."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.iterable_base import AISBaseIterDataset
from aisdatapipes.datasets.shard_lane import ShardLane
from aisdatapipes.datasets.sources import PrefixMap, Source
from aisdatapipes.datasets.stepped import SteppedDataset
from aisdatapipes.datasets.steps import Steps
from aisdatapipes.datasets.zero_dict import ZeroDict
from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.shared_once import SharedOnce
from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.errors import BadArchiveError
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.options import OnError
from aisdatapipes.reading.request import ETLConfig
from aisdatapipes.shards.counts import count_samples
from aisdatapipes.shards.samples import SHARD_OPTIONS
from aisdatapipes.tar import Sample

__all__ = ["AISShardReader"]


class AISShardReader(SteppedDataset, AISBaseIterDataset):
    """Samples of tar shards as ``(basename, files)``; `files` has the content by extension.

    Members of a shard are one sample while directory and name up to the first dot stay the same:
    that is the key, whose last part is the basename; ``files.key`` is all of it, ``files.url``
    the shard. The rest of the name, in lower case, is the extension. Members without one,
    as ``README``, are left out and counted. Two members of one sample with the same extension
    raise. Shards may be packed by gzip.

    Every rank and worker reads its own shards; give at least as many as there are workers in
    all. With `shuffle`, every epoch has the shards in an order of its own, and the samples of a
    shard are drawn at random from a buffer; so the samples of a shard come in the same order
    whoever reads it, for any number of workers, which take turns in the loader.

    `state_dict` and `load_state_dict` stop and go on between any two samples: a shard is taken up
    from the byte on where it stopped, and of the buffer only what was not drawn is read again. A
    shard that is packed, or made by an ETL, is read from its beginning.

    Listing, state, workers and ranks are as in `AISBaseIterDataset`.

    Args:
        bucket_list: `Bucket`, or another source of the SDK, or several.
        prefix_map: See `AISBaseIterDataset`, as for all others that are not here.
        shuffle_buffer: How many samples the next one is drawn from if `shuffle` is on.
        uneven: Ranks get whole shards, whose numbers of samples differ. Where there are several
            ranks, ``"pad"`` repeats samples so that the workers of the same number make equally
            many steps in all of them, and DDP never waits in vain; ``"drop"`` leaves some out,
            for the same. For both the cluster is asked once how many samples each shard has.
            ``"keep"`` does neither.
        strict: Raise where a sample has other extensions than the first one in this process, in
            place of empty files for those seen so far; see `ZeroDict`.

    Example:
        >>> reader = AISShardReader(urls_list="ais://coco/train-")
        >>> for basename, files in reader:
        ...     print(basename, sorted(files))
        0001 ['cls', 'jpg']

    Source:
        ``AISShardReader`` of AIStore's ``aistore.pytorch``, which reads every shard whole, and
        groups members that are apart.
    """

    ZeroDict = ZeroDict

    def __init__(
        self,
        bucket_list: Source | Iterable[Source] | None = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        show_progress: bool = False,
        *,
        etl: ETLConfig | None = None,
        client_url: str | None = None,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[Any], Any] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_buffer: int = 512,
        uneven: Uneven = "pad",
        rank: int | None = None,
        world_size: int | None = None,
        strict: bool = False,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        if shuffle_buffer < 1:
            raise ValueError(f"shuffle_buffer is {shuffle_buffer}, it must be 1 or more")
        super().__init__(
            bucket_list,
            prefix_map,
            etl_name,
            show_progress,
            etl=etl,
            client_url=client_url,
            urls_list=urls_list,
            manifest=manifest,
            transform=transform,
            shuffle=shuffle,
            seed=seed,
            uneven="keep",
            rank=rank,
            world_size=world_size,
            on_error=on_error,
            max_errors=max_errors,
            max_batch=SHARD_OPTIONS.max_batch,
            concurrency=SHARD_OPTIONS.concurrency,
            settings=settings,
        )
        self.strict = strict
        self._seed, self._is_shuffled, self._buffer = seed, shuffle, shuffle_buffer
        self._counts = SharedOnce(f"samples of {self.manifest.fingerprint}")
        self._steps = Steps(self._count, len(self.manifest), self._placement, uneven, seed, shuffle)
        self._seen: dict[str, None] = {}

    def _samples(self, cursor: Cursor) -> Iterator[tuple[str, ZeroDict]]:
        lane = ShardLane(cursor, self.manifest, self._reader, self._key_for(cursor), self._buffer)
        return map(self._as_pair, self._steps.even_out(lane, cursor))

    @staticmethod
    def _bytes_in(sample: tuple[str, ZeroDict]) -> int:
        return sum(map(len, sample[1].values()))

    def _count(self) -> array:
        urls, request_for = self.manifest.urls(), self._reader.request_for
        return array("q", self._counts.get(lambda: count_samples(urls, request_for)))

    def _key_for(self, cursor: Cursor) -> Callable[[int], str] | None:
        """Return what the order of a shard's samples depends on; whose lane it is does not."""
        prefix = f"{self._seed}/{cursor.fields['epoch']}"
        return (lambda position: f"{prefix}/{position}") if self._is_shuffled else None

    def _as_pair(self, found: tuple[ManifestEntry, Sample]) -> tuple[str, ZeroDict]:
        entry, (key, files, _) = found
        new = [extension for extension in files if extension not in self._seen]
        if self.strict and self._seen and (new or len(files) < len(self._seen)):
            raise BadArchiveError(
                f"sample {key!r} in {entry.url} has {', '.join(files)} where others have "
                f"{', '.join(self._seen)}: mend the shard, or read it with strict=False"
            )
        self._seen.update(dict.fromkeys(new))
        return key.rpartition("/")[2], ZeroDict(files, self._seen, key, entry.url)
