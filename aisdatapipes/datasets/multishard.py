"""The iterable dataset of several streams of shards, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.stepped import SteppedDataset
from aisdatapipes.datasets.steps import Steps
from aisdatapipes.datasets.tuple_lane import TupleLane
from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.world import Placement
from aisdatapipes.epochs.cursors import Cursor
from aisdatapipes.epochs.epochs import EpochOptions, Epochs
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ErrorPolicy, OnError
from aisdatapipes.reading.request import ETLConfig
from aisdatapipes.shards.streams import DataShard, PairedStreams

__all__ = ["AISMultiShardStream"]


class AISMultiShardStream(SteppedDataset):
    """Tuples of bytes: the n-th file of every stream of tar shards, for each n.

    A stream is all files of all shards under a `DataShard`'s bucket and prefix, in the order of
    the shards' names, and in a shard in the order of the archive. The files are paired by their
    number alone; shards of different streams need not have equally many. Shards may be packed
    by gzip. The shards are listed when the dataset is made.

    Ranks and workers share the shards of the first stream, each with the files of the other
    streams that belong to it; so give at least as many as there are workers in all. Where a
    share begins inside a shard of another stream, that shard is read from its beginning on, so
    shards with equally many files cost least. For several ranks or workers, for `shuffle` and
    for ``len`` the cluster is asked once how many files each shard has; a single process reads
    the streams as they come.

    `state_dict` and `load_state_dict` stop and go on between any two tuples, alone or in
    torchdata's ``StatefulDataLoader``: every shard is taken up at the byte where it stopped, but
    for packed ones and those that an ETL makes, which are read up to there again. With other
    numbers of ranks or workers, `merge_states` comes between them.

    Args:
        data_sources: `DataShard` objects of the SDK; each stream may be on another cluster, and
            have an ETL of its own.
        etl: The SDK's ``ETLConfig``, with arguments or a pipeline of ETLs, for all streams; or a
            list with one, or None, for each. Their sources then have no ETL of their own.
        strict: Raise where the streams have not equally many files, in place of stopping at the
            end of the shortest. What that leaves out is counted, as ``dropped``, and logged.
        transform: Called with a tuple, returns what the dataset yields in its place. It has to
            pickle if workers are spawned.
        show_progress: Show a tqdm bar, one for each worker.
        shuffle: Give the shards of the first stream, with all that belongs to them, a random
            order in every epoch; see `set_epoch`. The order in a shard stays.
        seed: Of these orders; the same in all ranks.
        uneven: Shards have different numbers of files. Where there are several ranks, ``"pad"``
            repeats tuples so that the workers of the same number make equally many steps in all
            of them, and DDP never waits in vain; ``"drop"`` leaves some out, for the same;
            ``"keep"`` does neither.
        rank: Number of this process, if it is not to be looked for; then with `world_size`.
        world_size: Number of processes.
        on_error: What to do with a shard that cannot be read: ``"raise"``, ``"skip"``, or a
            function of URL and error that returns a tar to read instead, or None to skip. To
            skip leaves out the tuples of that shard of the first stream which needs it, in all
            streams, from where it fails; the others stay paired as they were. They are counted
            in ``dropped``, in files. It raises in any case if the cluster cannot be reached or
            refuses the token, and if nothing tells how many files the shard had. Where files
            are counted, a shard costs one small request more, to see that it is not cut.
        max_errors: Most shards to skip in one iteration of a process; None for any number.
        settings: Time-outs and retries of the reading; sources are listed by their own client.

    Raises:
        ValueError: There is no source, one has two ETLs, or an option is out of its range.
        TypeError: A source is no `DataShard`.
        UnequalStreamsError: The streams have not equally many files, where that is known by now:
            with several ranks or `shuffle`. Else it is raised where one of them ends.
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
        transform: Callable[[Any], Any] | None = None,
        show_progress: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        uneven: Uneven = "pad",
        rank: int | None = None,
        world_size: int | None = None,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        options = replace(EpochOptions(shuffle, seed, uneven), uneven="keep")
        placement = Placement(rank, world_size)
        self._policy = ErrorPolicy(on_error, max_errors)
        self.transform = transform
        self.show_progress = show_progress
        self._paired = PairedStreams(
            data_sources,
            settings or Settings(),
            etl,
            strict=strict,
            is_tolerant=on_error != "raise",
        )
        units = len(self._paired.streams[0].manifest)
        name, fingerprint = type(self).__name__, self._paired.fingerprint
        super().__init__(Epochs(name, fingerprint, units, options, placement), SharedCounters())
        self._steps = Steps(self._unit_sizes, units, placement, uneven, seed, shuffle)
        if shuffle or placement.rank()[1] > 1:
            self._paired.pairing()  # here, where one rank can ask for all and for their workers

    def _samples(self, cursor: Cursor) -> Iterator[tuple[bytes, ...]]:
        lane = TupleLane(cursor, self._paired, self._policy, self._report.tally())
        return self._steps.even_out(lane, cursor)

    @staticmethod
    def _bytes_in(sample: tuple[bytes, ...]) -> int:
        return sum(map(len, sample))

    def _unit_sizes(self) -> list[int]:
        return self._paired.pairing().unit_sizes()
