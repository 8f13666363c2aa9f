"""The iterable dataset of several streams of shards, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.equal_steps import EqualSteps
from aisdatapipes.datasets.loader_length import length_for_caller
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.shard_reader import RankKeywords
from aisdatapipes.distributed.sharding import Sharding
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ErrorPolicy, OnError
from aisdatapipes.shards.counting import readable
from aisdatapipes.shards.row_slice import RowSlice
from aisdatapipes.shards.shard_stream import ShardStream
from aisdatapipes.shards.stream_rows import StreamRows
from aisdatapipes.types import DataShard, ETLConfig

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISMultiShardStream"]

T_co = TypeVar("T_co", covariant=True, default=tuple[bytes, ...])


class AISMultiShardStream(ResumableDataset[T_co], Generic[T_co]):
    """Tuples of bytes: the n-th file of every stream of tar shards, for each n.

    A stream is all files of all shards under a `DataShard`'s bucket and prefix, in the order of
    the shards' names, and in a shard in the order of the archive. The files are paired by their
    number alone. Shards may be compressed by gzip. They are listed when the dataset is made.

    Ranks and workers share rows: the n-th shards of all streams. In a row, all shards must have
    equally many files; if they have not, an error says which, and how to pack them. One process
    alone, without `shuffle` and with ``on_error="raise"``, also reads streams whose shards are
    packed in other ways, as long as the streams have equally many files in all.

    `state_dict` and `load_state_dict` stop and resume between any two tuples, alone or in
    torchdata's ``StatefulDataLoader``: every shard is opened at the byte where it stopped, but for
    compressed ones and those that an ETL makes, which are read up to there again. With other
    numbers of ranks or workers, `merge_states` comes between them.

    Args:
        data_sources: `DataShard` objects of the SDK; each stream may be on another cluster, and
            have an ETL of its own.
        etl: The SDK's ``ETLConfig``, with arguments or a pipeline of ETLs, for all streams; or a
            list with one, or None, for each. Their sources then have no ETL of their own.
        strict: Raise where the streams have not equally many files, in place of stopping at the
            end of the shortest. What that leaves out is counted, as ``dropped``, and logged. Of
            rows, only the last one that all streams have may then be unequal.
        transform: Called with a tuple, returns what the dataset yields in its place. It has to
            pickle if workers are spawned.
        show_progress: Show a tqdm bar, one for each worker.
        shuffle: Give the shards of the first stream, with all that belongs to them, a random
            order in every epoch; see `set_epoch`. The order in a shard stays.
        seed: Of these orders; the same in all ranks.
        on_error: What to do with a shard that cannot be read: ``"raise"``, ``"skip"``, or a
            function of URL and error that returns a tar to read instead, or None to skip. To
            skip leaves out the rest of its row, in all streams; the other rows stay paired as
            they were. The shard is counted and logged. A cluster that cannot be reached or
            refuses the token raises in any case.
        max_errors: Most shards to skip in one pass of a process; None for any number.
        settings: Time-outs and retries of the reading; sources are listed by their own client.

        options: ``uneven``, ``rank``, ``world_size``, or ``sharding=Sharding(...)``: shards have
            different numbers of files. Where there are several ranks, ``uneven="pad"`` repeats
            tuples so that the workers of the same number make equally many steps in all of them,
            and DDP never waits in vain; ``"drop"`` leaves some out, for the same; ``"keep"`` does
            neither. For both it is counted once for the job how many files each shard has.

    Raises:
        ValueError: There is no source, one has two ETLs, or an option is out of its range.
        TypeError: A source is no `DataShard`, or an option is not known.
        UnequalStreamsError: With several ranks that make equally many steps: the shards of a row
            have not equally many files. Else iterating raises it, where a row or a stream ends.
        BucketNotFoundError: A cluster has no such bucket.
        ClusterUnreachableError: Nothing answers at an endpoint.

    Example:
        >>> import os
        >>> from aistore.sdk import DataShard
        >>> images = DataShard(os.environ["AIS_ENDPOINT"], "coco", prefix="train-")
        >>> masks = DataShard(os.environ["AIS_ENDPOINT"], "coco", prefix="train-")
        >>> for image, mask in AISMultiShardStream([images, masks]):
        ...     print(image == mask)
        True
        True

    Source:
        ``AISMultiShardStream`` of AIStore's ``aistore.pytorch``. It reads the files of a shard
        in the order of their names, each by a request of its own, gives every rank and worker
        all of them, and stops at the end of the shortest stream without a word.
    """

    def __init__(
        self,
        data_sources: Iterable[DataShard],
        *,
        etl: ETLConfig | Sequence[ETLConfig | None] | None = None,
        strict: bool = True,
        transform: Callable[[tuple[bytes, ...]], T_co] | None = None,
        show_progress: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        settings: Settings | None = None,
        **options: Unpack[RankKeywords],
    ) -> None:
        name = type(self).__name__
        refuse_unknown(name, options, RankKeywords)
        sharding = Sharding.of(options)
        policy = ErrorPolicy(on_error, max_errors)
        streams = _listed(list(data_sources), etl, settings or Settings())
        self._rows = StreamRows(streams, strict=strict, policy=policy)
        self._can_read_side_by_side = not shuffle and on_error == "raise"
        self._steps = EqualSteps(self._counts, sharding.uneven)
        identity = RunIdentity(name, self._rows.fingerprint, seed, shuffle)
        epochs = Epochs(
            identity, self._rows.lengths[0], sharding.of_whole_shards(), self._steps.steps_for
        )
        super().__init__(epochs, SharedCounters(), transform, show_progress=show_progress)
        if self._steps.are_needed(sharding.detector().known_rank()[1]):
            self._counts()  # here, where one rank can do it for all and for their workers

    def __len__(self) -> int:
        """Return how many tuples this rank yields in an epoch without a stop, at most.

        It is counted, once, how many files each shard has. A `DataLoader` gets the number of
        which it makes its number of batches, for its batch size and workers.

        Raises:
            TypeError: A loader asks, and the number of its batches differs from epoch to epoch.
        """
        return length_for_caller(self._worker_sizes, partial(self._steps.vary, self._epochs))

    def _worker_sizes(self, num_workers: int) -> list[int]:
        is_alone = num_workers == self._epochs.known_world().world_size == 1
        if is_alone and self._can_read_side_by_side:
            counts = self._rows.counts(self._counters.of_this_process())
            return [min(sum(map(readable, stream)) for stream in counts)]
        return self._steps.worker_sizes(self._epochs, num_workers)

    def _samples(self, progress: Progress) -> Iterator[tuple[bytes, ...]]:
        counters, world = self._counters.of_this_process(), self._epochs.world()
        is_alone = world.world_size == world.num_workers == 1 and self._can_read_side_by_side
        own = RowSlice(self._rows, progress, counters, is_alone=is_alone)
        return self._steps.evened(own, progress, counters)

    def _bytes_in(self, sample: tuple[bytes, ...]) -> int:
        return sum(map(len, sample))

    def _counts(self) -> list[int]:
        return self._rows.sizes(self._counters.of_this_process())


def _listed(
    sources: list[DataShard],
    etl: ETLConfig | Sequence[ETLConfig | None] | None,
    settings: Settings,
) -> list[ShardStream]:
    """List the shards of every source."""
    etls = etl if isinstance(etl, Sequence) else [etl] * len(sources)
    if len(etls) != len(sources):
        raise ValueError(f"{len(etls)} ETLs for {len(sources)} streams: give one for each")
    pairs = zip(sources, etls, strict=True)
    return [ShardStream.listed(source, settings, one) for source, one in pairs]
