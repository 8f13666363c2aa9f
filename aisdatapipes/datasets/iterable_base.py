"""Iterable datasets: every lane reads its share, in order, and can stop and go on anywhere."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from torch.utils.data import get_worker_info

from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.reading import Reading
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.sources import (
    PrefixMap,
    Source,
    manifest_and_endpoint,
    settings_like,
)
from aisdatapipes.distributed.partition import Uneven
from aisdatapipes.distributed.world import Placement
from aisdatapipes.epochs.epochs import EpochOptions, Epochs
from aisdatapipes.etl import ETLCall
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.metrics.progress_bar import with_bar
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import OnError, ReadOptions
from aisdatapipes.reading.request import ETLConfig

__all__ = ["AISBaseIterDataset"]


class AISBaseIterDataset(ResumableDataset):
    """Base of iterable datasets: knows its objects, deals them, reads them, and keeps the state.

    Subclass it and define ``__iter__``, by `share` and `read`; what you say is what a sample is.

    The objects are listed when the dataset is made, each of them once, in the order of
    `urls_list` and then of `ais_source_list`. Every DataLoader worker of every rank reads its
    own share of them. The rank is looked for when an iteration begins: ``torch.distributed`` if
    it is initialised by then, else the environment's ``RANK`` and ``WORLD_SIZE``.

    `state_dict` and `load_state_dict` stop and go on between any two samples, alone or in
    torchdata's ``StatefulDataLoader``; nothing that was consumed is read again. With other
    numbers of ranks or workers, `merge_states` comes between them.

    Write ``__iter__`` as a function that calls `share` at once, as the example does, and not as a
    generator function, which begins at its first item: loaders ask for the state before that.

    Args:
        ais_source_list: `Bucket`, `ObjectGroup` or `Object` of the SDK, or several.
        prefix_map: Sources, to the prefix or prefixes that the names of their objects begin
            with; None for all. A key holds for every equal source.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        etl: The SDK's ``ETLConfig`` in its place: with arguments, or with a pipeline of ETLs.
        show_progress: Show a tqdm bar, one for each worker.
        client_url: Address of the cluster, ``http://host:port``; default that of the first
            source, if there is one, or ``$AIS_ENDPOINT``.
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The objects, in place of sources and URLs.
        transform: Called with what the dataset would yield, returns what it yields instead. It
            has to pickle if workers are spawned.
        shuffle: Give every epoch a random order of its own; see `set_epoch`.
        seed: Of these orders; the same in all ranks.
        uneven: What happens if the number of objects is no multiple of that of the ranks:
            ``"pad"`` repeats the first ones, so that all ranks make equally many steps and DDP
            never waits in vain; ``"drop"`` leaves out the last ones, for the same; ``"keep"``
            gives some ranks one more.
        rank: Number of this process, if it is not to be looked for; then with `world_size`.
        world_size: Number of processes.
        loader_batch_size: How many objects in a row go to one worker. Equal to the batch size of
            the DataLoader, it makes the same batches for any number of workers.
        on_error: What to do with an object that cannot be read: ``"raise"``, ``"skip"``, or a
            function of URL and error that returns content to have instead, or None to skip. A
            cluster that cannot be reached or refuses the token raises in any case. A rank that
            skips makes fewer steps than the others.
        max_errors: Most objects to skip in one iteration of a process; None for any number.
        verify: ``"checksum"`` compares every object with the cluster's checksum. It costs the
            batches: every object is its own GET.
        max_inflight_bytes: Upper bound of the bytes that are asked for and not consumed yet, as
            far as sizes tell.
        max_batch: Most objects in one GetBatch request; 1 reads every object by its own GET.
        concurrency: Most GETs at a time, where GetBatch does not apply.
        settings: Time-outs and retries.

    Attributes:
        manifest: The objects.

    Raises:
        ValueError: Nothing to read is given, `prefix_map` has a key that is no source, or an
            option is out of its range.
        TypeError: A source is none of the three kinds.
        EndpointError: No endpoint, or none of an HTTP server.
        BucketNotFoundError: The cluster has no such bucket.
        ClusterUnreachableError: Nothing answers at the endpoint.

    Example:
        >>> class Sizes(AISBaseIterDataset):
        ...     def __iter__(self):
        ...         found = self.read(self.share())
        ...         return ((entry.name, len(content)) for entry, content in found)
        >>> next(iter(Sizes(urls_list="ais://caltech256/003.")))
        ('003.backpack/003_0001.jpg', 35)

    Source:
        ``AISBaseIterDataset`` of AIStore's ``aistore.pytorch``; it lists the sources again in
        every worker and epoch, and gives every rank all of them.
    """

    def __init__(
        self,
        ais_source_list: Source | Iterable[Source] | None = None,
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
        uneven: Uneven = "pad",
        rank: int | None = None,
        world_size: int | None = None,
        loader_batch_size: int = 1,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        verify: Literal["checksum"] | None = None,
        max_inflight_bytes: int = ReadOptions.max_inflight_bytes,
        max_batch: int = ReadOptions.max_batch,
        concurrency: int = ReadOptions.concurrency,
        settings: Settings | None = None,
    ) -> None:
        options = EpochOptions(shuffle, seed, uneven, loader_batch_size)
        self._placement = Placement(rank, world_size)
        self.manifest, endpoint = manifest_and_endpoint(
            ais_source_list, prefix_map, urls_list, manifest, client_url, settings
        )
        self.client_url = endpoint
        self.show_progress = show_progress
        self.transform = transform
        self._reader = ObjectReader(
            endpoint,
            ETLCall.of(etl_name, etl),
            clusters=self.manifest.clusters,
            max_inflight_bytes=max_inflight_bytes,
            max_batch=max_batch,
            concurrency=concurrency,
            on_error=on_error,
            max_errors=max_errors,
            verify=verify,
            settings=settings_like(ais_source_list, endpoint, settings),
        )
        name, fingerprint = type(self).__name__, self.manifest.fingerprint
        epochs = Epochs(name, fingerprint, len(self.manifest), options, self._placement)
        super().__init__(epochs, self._reader.report)
        self._reading: Reading | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_reading": None}

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the samples of this process's share."""

    def __len__(self) -> int:
        """Return how many objects this rank has in an epoch, all its workers together."""
        return self._epochs.rank_size()

    def share(self) -> Iterator[ManifestEntry]:
        """Begin an iteration: return the objects that this process has to read, in order.

        After `load_state_dict`, those that are left.

        Raises:
            StateMismatchError: At the first entry: the state that was loaded is of another
                number of ranks or workers, or of another epoch than `set_epoch` asks for.
        """
        self._reading = Reading(self._epochs.start(), self.manifest)
        return self._reading.entries()

    def read(self, entries: Iterable[ManifestEntry]) -> Iterator[tuple[ManifestEntry, bytes]]:
        """Yield objects with their content, ahead of the consumer, and move the state on.

        An object is consumed when it is yielded; so are those before it that were skipped, or
        that you left out.

        Args:
            entries: What `share` gives, all or some of it, in its order.

        Raises:
            ValueError: An entry is not of the latest `share`, or comes out of order.
            AISPipeError: An object cannot be read and is not to be skipped.
            TooManyErrorsError: More than `max_errors` were skipped.
        """
        if self._reading is None:
            raise ValueError("read() before share(): it reads the entries that share() gives")
        contents = self._reading.contents(entries, self._reader)
        if not self.show_progress:
            return contents
        worker = get_worker_info()
        number = worker.id if worker else None
        return with_bar(contents, _bytes_in, type(self).__name__, self._reading.size, number)


def _bytes_in(item: tuple[ManifestEntry, bytes]) -> int:
    return len(item[1])
