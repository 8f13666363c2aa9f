"""The iterable dataset of tar shards: their samples, each as the files that share a name."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, TypedDict, get_args

from typing_extensions import TypeVar

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.datasets.equal_steps import EqualSteps
from aisdatapipes.datasets.loader_length import length_for_caller
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.sources import DatasetSource, PrefixMap, SourceKeywords, Sources
from aisdatapipes.datasets.zero_dict import PairDecoder, ZeroDict
from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.sharding import Sharding
from aisdatapipes.distributed.shared_once import SharedOnce
from aisdatapipes.distributed.shuffling import block_order
from aisdatapipes.distributed.world import Ranks
from aisdatapipes.errors import BadArchiveError
from aisdatapipes.indexes.part_slice import PartSlice
from aisdatapipes.indexes.sample_parts import SampleParts
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.keywords import known, refuse_unknown
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.options import OnError
from aisdatapipes.shards.counting import count_shards, readable
from aisdatapipes.shards.decoding import Decode
from aisdatapipes.shards.shard_slice import ShardSlice, ShardSource
from aisdatapipes.tar import Sample

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISShardReader", "RankKeywords", "ShardKeywords"]

ShardSample = tuple[str, ZeroDict]
"""Basename of a sample, and its files."""

T_co = TypeVar("T_co", covariant=True, default=ShardSample)


Deal = Literal["shards", "samples"]
"""What goes to ranks and workers: whole shards, or contiguous parts of them."""


class RankKeywords(TypedDict, total=False):
    """Ranks and workers share whole shards: the fields of `Sharding` that say how."""

    uneven: Uneven
    rank: int | None
    world_size: int | None
    ranks: Ranks
    sharding: Sharding


class ShardKeywords(SourceKeywords, RankKeywords, total=False):
    """What a shard reader takes beside what its signature names."""

    on_error: OnError
    max_errors: int | None
    partition_sources_by_worker: bool
    decode: Decode | None
    index: ShardIndex | None
    deal: Deal


class AISShardReader(ResumableDataset[T_co], Generic[T_co]):
    """Samples of tar shards as ``(basename, files)``; `files` has the content by extension.

    Members of a shard are one sample while directory and name up to the first dot stay the same:
    that is the key, whose last part is the basename; ``files.key`` is all of it, ``files.url``
    the shard. The rest of the name, in lower case, is the extension. Members without one,
    as ``README``, are dropped and counted. Two members of one sample with the same extension
    raise. Shards may be compressed by gzip.

    Every rank and worker reads its own shards; give at least as many as there are workers in
    all, or an index. With `shuffle`, every epoch has the shards in an order of its own, and the
    samples of a shard are drawn at random from a buffer; so the samples of a shard come in the
    same order whoever reads it, for any number of workers, which take turns in the loader.

    `state_dict` and `load_state_dict` stop and resume between any two samples: a shard is opened
    at the byte where it stopped, and of the buffer only what was not drawn is read again. A
    shard that is compressed, or made by an ETL, is read from its beginning.

    Listing, state, workers and ranks are as in `AISBaseIterDataset`.

    Args:
        bucket_list: `Bucket`, or another source of the SDK, or several.
        prefix_map: See `AISBaseIterDataset`, as for all others that are not here.
        shuffle_buffer: How many samples the next one is drawn from if `shuffle` is on.
        strict: Raise where a sample has other extensions than the first one in this process, in
            place of empty files for those seen so far; see `ZeroDict`.
        options: What else may be given, by name: the fields of `Sharding` but for
            ``loader_batch_size``, or ``sharding=``; ``on_error`` and ``max_errors``; ``etl``,
            ``client_url``, ``settings``, ``allow_empty`` and ``partition_sources_by_worker``; all
            as for `AISBaseIterDataset`; and ``decode``, how files are decoded before `transform`:
            ``"pil"``, ``"torchrgb"``, …, a handler, or several, see `AISSampleDecoder`. Ranks get
            whole shards, whose numbers of samples differ. Where there are several ranks,
            ``uneven="pad"`` repeats samples so that the workers of the same number make equally
            many steps in all of them, and DDP never waits in vain; ``"drop"`` leaves some out,
            for the same. For both it is counted once for the job how many samples each shard
            has. ``"keep"`` does neither. With ``index=``, a `ShardIndex` of the shards, nothing is
            counted: ``len`` and equal steps are free; and ``deal="samples"`` gives ranks and
            workers contiguous parts of shards, so that many can share few: each part is a range
            that is read at once, and with `shuffle` its samples are in a random order, in place of
            the buffer's.

    Raises:
        ValueError: `deal` is ``"samples"`` and there is no index, or members are apart in it.
        ObjectChangedError: `index` is of a shard that was replaced, or is gone.
        ShardIndexError: `index` is of other shards than are given.
        AISPipeError: With several ranks: the cluster cannot be asked what the shards have.

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
        bucket_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        show_progress: bool = False,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[ShardSample], T_co] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_buffer: int = 512,
        strict: bool = False,
        **options: Unpack[ShardKeywords],
    ) -> None:
        name = type(self).__name__
        refuse_unknown(name, options, ShardKeywords)
        if shuffle_buffer < 1:
            raise ValueError(f"shuffle_buffer is {shuffle_buffer}, it must be 1 or more")
        sharding = Sharding.of(known(options, RankKeywords))
        if (decode := options.get("decode")) is not None:
            transform = PairDecoder(decode, transform)
        index, deal = options.get("index"), options.get("deal", "shards")
        if index is not None and bucket_list is urls_list is manifest is None:
            manifest = index.manifest
        source = DatasetSource.of(bucket_list, prefix_map, etl_name, urls_list, manifest, options)
        self.manifest, self.client_url = source.manifest, source.endpoint
        reader = self._reader = source.reader
        self._source = ShardSource(
            self.manifest, reader.request_for, reader.policy, reader.settings
        )
        self.index = index
        self._parts = _parts_of(index, deal)
        if index is not None:
            if etl_name or options.get("etl"):
                raise ValueError("an index is of shards as they are: give index= or an ETL")
            index.check_shards(self.manifest)
            index.check_by(reader)
        self.strict = strict
        self._buffer = shuffle_buffer
        self._seen: dict[str, None] = {}
        self._counted = SharedOnce(f"samples of {self.manifest.fingerprint}")
        self._steps = EqualSteps(self._counts, sharding.uneven)
        what, positions, buffer = self.manifest.fingerprint, len(self.manifest), shuffle_buffer
        if index is not None and self._parts is not None:
            what, positions, buffer = f"samples of {index.fingerprint}", len(self._parts), 0
        self._identity = RunIdentity(name, what, seed, shuffle, buffer if shuffle else 0)
        epochs = Epochs(
            self._identity, positions, sharding.of_whole_shards(), self._steps.steps_for
        )
        super().__init__(epochs, reader.counters, transform, show_progress=show_progress)
        if self._steps.are_needed(sharding.detector().known_rank()[1]):
            self._counts()  # here, where one rank can do it for all and for their workers

    def __len__(self) -> int:
        """Return how many samples this rank yields in an epoch without a stop, at most.

        It is counted, once, how many each shard has. A `DataLoader` gets the number of which it
        makes its number of batches, for its batch size and workers.

        Raises:
            TypeError: A loader asks, and the number of its batches differs from epoch to epoch, as
                shards of different sizes are shuffled among several workers or ranks.
        """
        sizes, vary = partial(self._steps.worker_sizes, self._epochs), self._steps.vary
        return length_for_caller(sizes, partial(vary, self._epochs))

    def _samples(self, progress: Progress) -> Iterator[tuple[str, ZeroDict]]:
        counters = self._counters.of_this_process()
        if self.index is not None and self._parts is not None:
            order = partial(self._order_in, progress.epoch) if self._identity.shuffle else None
            parts = PartSlice(self.index, self._parts, self._reader, progress, counters, order)
            return map(self._as_pair, self._steps.evened(parts, progress, counters))
        key_for = partial(self._key_of, progress.epoch) if self._identity.shuffle else None
        own = ShardSlice(self._source, progress, counters, key_for, self._buffer)
        return map(self._as_pair, self._steps.evened(own, progress, counters))

    def _bytes_in(self, sample: tuple[str, ZeroDict]) -> int:
        return sum(map(len, sample[1].values()))

    def _counts(self) -> list[int]:
        if self._parts is not None:
            return self._parts.counts
        if self.index is not None:
            return self.index.counts_in_order
        source, counters = self._source, self._counters.of_this_process()
        entries = zip(self.manifest.urls(), self.manifest.sizes, strict=True)
        shards = ((url, partial(source.request_for, url), size) for url, size in entries)
        counts = self._counted.get(lambda: count_shards(shards, "samples", source.policy, counters))
        return list(map(readable, array("q", counts)))

    def _key_of(self, epoch: int, position: int, turn: int) -> str:
        """Return what the order of a shard's samples depends on; who reads it does not matter."""
        return f"{self._identity.seed}/{epoch}/{position}" + (f"/{turn}" if turn else "")

    def _order_in(self, epoch: int, part: int, count: int, turn: int) -> list[int]:
        """Return in which order the samples of a part come; who reads it does not matter."""
        return block_order(count, self._identity.seed, epoch, f"part {part}/{turn}").tolist()

    def _as_pair(self, found: tuple[ManifestEntry, Sample]) -> tuple[str, ZeroDict]:
        entry, (key, files, _) = found
        new = [extension for extension in files if extension not in self._seen]
        if self.strict and self._seen and (new or len(files) < len(self._seen)):
            raise BadArchiveError(
                f"sample {key!r} in {entry.url} has {', '.join(files)} where others have "
                f"{', '.join(self._seen)}: repair the shard, or read it with strict=False"
            )
        self._seen.update(dict.fromkeys(new))
        return key.rpartition("/")[2], ZeroDict(files, self._seen, key, entry.url)


def _parts_of(index: ShardIndex | None, deal: Deal) -> SampleParts | None:
    if deal not in get_args(Deal):
        raise ValueError(f"deal is {deal!r}: give 'shards' or 'samples'")
    if deal == "shards":
        return None
    if index is None:
        raise ValueError("deal is 'samples', which takes index=, a ShardIndex of the shards")
    return SampleParts(index)
