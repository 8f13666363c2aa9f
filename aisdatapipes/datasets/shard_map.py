"""The map dataset of tar shards: their samples by index, in any order, as they are packed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Generic, TypedDict, cast

from torch.utils.data import Dataset
from typing_extensions import TypeVar

from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.sources import DatasetSource, PrefixMap, Sources
from aisdatapipes.datasets.zero_dict import PairDecoder, ZeroDict
from aisdatapipes.indexes.building import UseOfCluster
from aisdatapipes.indexes.sample_reader import FoundSample, SampleReader
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.options import OnError, ReadOptions
from aisdatapipes.shards.decoding import Decode

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISShardMapDataset"]

ShardSample = tuple[str, ZeroDict]
"""Basename of a sample, and its files."""

T = TypeVar("T", default=ShardSample)


class ShardMapKeywords(TypedDict, total=False):
    """What the dataset takes beside what its signature names."""

    client_url: str | None
    settings: Settings | None
    allow_empty: bool | None
    on_error: OnError
    max_errors: int | None
    max_inflight_bytes: int
    max_batch: int
    concurrency: int
    colocation: int
    read: ReadOptions
    decode: Decode | None
    cluster_index: UseOfCluster
    show_progress: bool


class AISShardMapDataset(Dataset[T], Generic[T]):
    """Samples of tar shards as ``(basename, files)`` by index, so that they can be shuffled truly.

    A `DataLoader` with a batch size reads each batch by one GetBatch request, of the byte ranges
    of its samples: plain shards, as `tarfile`, GNU tar and webdataset write them, are read in any
    order. Where the samples are is in `index`, which is built when the dataset is made, by one
    pass over the shards: `save` it, and later jobs begin at once. ``shuffle=True``,
    `DistributedSampler`, `WeightedRandomSampler`, `Subset` and ``random_split`` choose what is
    read; torchdata's ``StatefulDataLoader`` resumes with the sampler.

    A sample is what `AISShardReader` makes of it: `files` has the content by extension, ``b""``
    for those that other samples have, `files.key` its key and `files.url` its shard. Members of
    a sample may be apart in the shard, which takes a range for each place. Shards that gzip has
    compressed have no places to read from: for those there is `AISShardReader`.

    What comes is compared with the index, by key and extensions. A shard that is replaced while it
    is read, by one with the same names in the same places, is noticed by `ShardIndex.check` only.

    On a cluster of several targets, one of them collects what a request asks for, which takes a
    tenth of a second at least with AIStore 5.0: let several workers of a loader overlap.
    ``colocation=1`` saves some of it where the samples of a batch are on few targets, as those of
    a `ShardBlockSampler` with small blocks are.

    Args:
        bucket_list: `Bucket`, or another source of the SDK, or several; a string is taken for
            one of `urls_list`.
        prefix_map: Sources, to the prefix or prefixes that the names of their objects begin
            with; None for all.
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The shards, in place of sources and URLs.
        index: Where the samples are; alone, or with the shards that it has to be of. It is
            compared with what the cluster has now.
        transform: Called with ``(basename, files)``, returns what the dataset returns instead. It
            has to pickle if workers are spawned.
        options: What else may be given, by name: ``client_url``, ``settings`` and ``allow_empty``,
            as for `AISMapDataset`; ``max_inflight_bytes``, ``max_batch``, ``concurrency`` and
            ``colocation``, or ``read=ReadOptions(...)``; ``decode``, how files are decoded before
            `transform`, as for `AISShardReader`; ``cluster_index``, as for `ShardIndex.build`;
            ``show_progress``, a tqdm bar while the index is built; ``on_error`` says what to do
            with a sample that cannot be read: ``"raise"``; ``"skip"``, so that a batch is shorter;
            or a function of the shard's URL and the error that returns a tar to take the sample
            from, or None to skip. Of a shard that is cut or damaged when it is indexed, ``"skip"``
            leaves out what follows. ``max_errors`` is the most that one process may skip.

    Attributes:
        index: Where the samples are.
        manifest: The shards.

    Raises:
        ValueError: Nothing to read is given, or an option is out of its range.
        TypeError: A source is none of the three kinds, or an option is not known.
        BadArchiveError: A shard is compressed or no tar, has links, or has two members for one
            extension of a sample.
        CutArchiveError: A shard ends before the end mark of a tar.
        ObjectChangedError: `index` is of a shard that was replaced, or is gone.
        ShardIndexError: `index` is of other shards than are given.
        AISPipeError: The cluster cannot be asked.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> dataset = AISShardMapDataset(urls_list="ais://coco/train-")
        >>> len(dataset), dataset[0][0]
        (1, '0001')
        >>> loader = DataLoader(dataset, batch_size=256, shuffle=True, collate_fn=list)
        >>> for batch in loader:
        ...     for basename, files in batch:
        ...         print(basename, sorted(files))
        0001 ['cls', 'jpg']
    """

    def __init__(
        self,
        bucket_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        index: ShardIndex | None = None,
        transform: Callable[[ShardSample], T] | None = None,
        **options: Unpack[ShardMapKeywords],
    ) -> None:
        refuse_unknown(type(self).__name__, options, ShardMapKeywords)
        if (decode := options.get("decode")) is not None:
            transform = PairDecoder(decode, transform)
        is_alone = bucket_list is None and urls_list is None and manifest is None
        if index is not None and is_alone:
            manifest = index.manifest
        source = DatasetSource.of(bucket_list, prefix_map, None, urls_list, manifest, options)
        self.manifest, self.client_url = source.manifest, source.endpoint
        if index is None:
            use, progress = options.get("cluster_index", "build"), options.get("show_progress")
            index = ShardIndex.of(self.manifest, source.reader, use, show_progress=bool(progress))
        else:
            index.check_shards(source.manifest)
            index.check_by(source.reader)
        self.index = index
        self.transform = transform
        self._counters = source.reader.counters
        self._reader = SampleReader(index, source.reader)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.index)

    def __getitem__(self, index: int) -> T:
        """Return ``(basename, files)`` of the sample at an index, transformed.

        Raises:
            IndexError: There are not so many samples.
            AISPipeError: It cannot be read, and ``on_error`` is no function that has a tar.
        """
        return self._as_sample(self._reader.read_one(self.index.position(index)))

    def __getitems__(self, indices: Sequence[int]) -> list[T]:
        """Return ``(basename, files)`` of a batch, transformed, in the order of the indices.

        What ``on_error`` skips is left out.

        Raises:
            IndexError: There are not so many samples.
            AISPipeError: One cannot be read and is not to be skipped.
            TooManyErrorsError: All of them were skipped, or more than `max_errors`.
        """
        found = self._reader.read_many(list(map(self.index.position, indices)))
        return list(map(self._as_sample, found))

    def counters(self) -> Counters:
        """Return what this dataset has done until now, all its worker processes together.

        Objects are samples, but for the bytes, which are those of their ranges.
        """
        return self._counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the shards of samples that ``on_error`` left out, once for each sample."""
        return self._counters.skipped_urls()

    def _as_sample(self, found: FoundSample) -> T:
        key, url, files = found
        pair = key.rpartition("/")[2], ZeroDict(files, self.index.extensions, key, url)
        return self.transform(pair) if self.transform else cast("T", pair)
