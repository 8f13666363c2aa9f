"""Iterable datasets: every worker reads its slice, in order, and can stop and resume anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.datasets.object_slice import ObjectSlice
from aisdatapipes.datasets.old_hooks import OldIterHooks
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.sources import DatasetSource, PrefixMap, SourceKeywords, Sources
from aisdatapipes.distributed.sharding import Sharding, ShardingKeywords
from aisdatapipes.keywords import known, refuse_unknown
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.options import ReadKeywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISBaseIterDataset", "IterKeywords"]

T_co = TypeVar("T_co", covariant=True, default=Any)


class IterKeywords(SourceKeywords, ShardingKeywords, ReadKeywords, total=False):
    """What an iterable dataset takes beside what its signature names."""

    partition_sources_by_worker: bool


class AISBaseIterDataset(OldIterHooks, ResumableDataset[T_co], Generic[T_co]):
    """Base of iterable datasets: knows its objects, reads each worker's, and keeps the state.

    Subclass it and define ``__iter__``, by `share` and `read`; what you say is what a sample is.

    The objects are listed when the dataset is made, each of them once, in the order of
    `urls_list` and then of `ais_source_list`. Every DataLoader worker of every rank reads its
    own share of them. The rank is looked for when an iteration begins: ``torch.distributed`` if
    it is initialised by then, else the environment's ``RANK`` and ``WORLD_SIZE``.

    `state_dict` and `load_state_dict` stop and resume between any two samples, alone or in
    torchdata's ``StatefulDataLoader``; nothing that was consumed is read again. With other
    numbers of ranks or workers, `merge_states` comes between them.

    Write ``__iter__`` as a function that calls `share` at once, as the example does, and not as a
    generator function, which begins at its first item: loaders ask for the state before that.

    Args:
        ais_source_list: `Bucket`, `ObjectGroup` or `Object` of the SDK, or several; a string is
            taken for one of `urls_list`.
        prefix_map: Sources, to the prefix or prefixes that the names of their objects begin
            with; None for all. A key holds for every equal source.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        show_progress: Show a tqdm bar, one for each worker.
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The objects, in place of sources and URLs.
        transform: Called with what the dataset would yield, returns what it yields instead. It
            has to pickle if workers are spawned.
        shuffle: Give every epoch a random order of its own; see `set_epoch`.
        seed: Of these orders; the same in all ranks.
        options: What else may be given, by name:

            - Where: ``etl``, the SDK's ``ETLConfig`` in place of `etl_name`, with arguments or
              with a pipeline of ETLs; ``client_url``, the address of the cluster, default that of
              the first source, if there is one, or ``$AIS_ENDPOINT``; ``settings``;
              ``allow_empty``, and patterns in place of prefixes, as for `Manifest.build`.
            - Ranks and workers: the fields of `Sharding`, or ``sharding=Sharding(...)``.
              ``partition_sources_by_worker`` is AIStore's and changes nothing: no worker lists.
            - Reading: the fields of `ReadOptions`, or ``read=ReadOptions(...)``.
            - Errors: ``on_error`` says what to do with an object that cannot be read:
              ``"raise"``, ``"skip"``, or a function of URL and error that returns content to have
              instead, or None to skip. A cluster that cannot be reached or refuses the token
              raises in any case. A rank that skips makes fewer steps than the others.
              ``max_errors`` is the most objects to skip in one pass of a process.

    Attributes:
        manifest: The objects.

    Raises:
        ValueError: Nothing to read is given, `prefix_map` has a key that is no source, or an
            option is out of its range.
        TypeError: A source is none of the three kinds, or an option is not known.
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
        ais_source_list: Sources = None,
        prefix_map: PrefixMap | None = None,
        etl_name: str | None = None,
        show_progress: bool = False,
        *,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        transform: Callable[[Any], T_co] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        **options: Unpack[IterKeywords],
    ) -> None:
        name = type(self).__name__
        refuse_unknown(name, options, IterKeywords)
        sharding = Sharding.of(known(options, ShardingKeywords))
        source = DatasetSource.of(
            ais_source_list, prefix_map, etl_name, urls_list, manifest, options
        )
        self.manifest, self._reader = source.manifest, source.reader
        self.client_url = source.endpoint
        identity = RunIdentity(name, self.manifest.fingerprint, seed, shuffle)
        epochs = Epochs(identity, len(self.manifest), sharding)
        super().__init__(epochs, self._reader.counters, transform, show_progress=show_progress)
        self._slice: ObjectSlice | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_slice": None}

    def share(self) -> Iterator[ManifestEntry]:
        """Begin a pass: return the objects that this process has to read, in order.

        After `load_state_dict`, those that are left.

        Raises:
            StateMismatchError: At the first entry: the state that was loaded is of another
                number of ranks or workers, or of another epoch than `set_epoch` asks for.
        """
        progress = self._epochs.start()
        if progress.is_of_another_epoch:
            progress.refusal = self._epochs.mismatch(progress)
        self._slice = ObjectSlice(progress, self.manifest)
        return self._slice.entries()

    def read(self, entries: Iterable[ManifestEntry]) -> Iterator[tuple[ManifestEntry, bytes]]:
        """Yield objects with their content, ahead of the consumer, and move the state on.

        An object is consumed when it is yielded; so are those before it that were skipped, or
        that you left out.

        Args:
            entries: What `share` gives, all or some of it, in its order.

        Raises:
            ValueError: An entry is not of the latest `share`, or comes out of order.
            AISPipeError: An object cannot be read and is not to be skipped.
            TooManyErrorsError: More than ``max_errors`` were skipped.
        """
        if self._slice is None:
            raise ValueError("read() before share(): it reads the entries that share() gives")
        return self._with_bar(self._slice.contents(entries, self._reader), self._slice.size)

    def _samples(self, progress: Progress) -> Iterator[Any]:
        own = ObjectSlice(progress, self.manifest)
        return own.contents(own.entries(), self._reader)

    def _left(self, progress: Progress) -> int:
        return ObjectSlice(progress, self.manifest).size

    def _bytes_in(self, sample: tuple[Any, bytes]) -> int:
        return len(sample[1])
