"""The iterable dataset that mixes others, by weights, or repeats them for as long as one likes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.datasets.loader_length import length_for_caller
from aisdatapipes.datasets.mixing import Draws, MixPass, MixState, Stop
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.distributed.sharding import Sharding
from aisdatapipes.errors import StateMismatchError
from aisdatapipes.metrics.counters import Counters, SharedCounters

__all__ = ["AISMixDataset"]

_VERSION = "mix 1"
_POSITIONS = 4096  # at least one for every worker


class AISMixDataset(ResumableDataset):
    """Samples of several iterable datasets, each drawn at random by its weight.

    Every worker of every rank mixes its own slices of the datasets. What it draws depends on
    `seed`, epoch and the worker's number only. So, if the datasets make equally many steps in all
    ranks, as by default, so does the mix; and a mix of one dataset is that dataset, for as many
    samples as you like.

    `state_dict` and `load_state_dict` stop and resume between any two samples, alone or in
    torchdata's ``StatefulDataLoader``, as those of the datasets do, with as many ranks and workers
    as before: `merge_states` takes no states of a mix. The mix sets the epochs of its datasets:
    call `set_epoch` of the mix. It reads copies of them, so that each can be read by itself too.

    Args:
        datasets: Of the classes of this package, mixes too.
        weights: One for each, above 0, in any unit; None for equal ones.
        seed: Of the draws; the same in all ranks.
        stop: ``"all"``, the default, when all datasets have ended: every sample comes once.
            ``"first"``, when the first one has. ``"cycle"``, when each has ended at least once;
            those that have begin again, with an order of their own if they are shuffled.
        samples_per_epoch: How many samples an epoch has, over all ranks and workers together, in
            place of `stop`: the datasets begin again as often as that takes. Every epoch begins
            them anew; shuffle them, so that short epochs have other samples.
        transform: Called with a sample, returns what comes in its place. It has to pickle if
            workers are spawned.
        sharding: As the datasets have it, if ranks are given there and not looked for.

    Raises:
        ValueError: There is no dataset; weights are not one for each and above 0; or an option is
            out of its range. While iterating: `samples_per_epoch` is no multiple of the number of
            ranks, or a dataset that begins again has no sample for a worker.
        TypeError: A dataset is none of this package's iterable ones.

    Example:
        >>> from aisdatapipes import AISIterDataset
        >>> flags = AISIterDataset(urls_list="ais://caltech256/002.", shuffle=True)
        >>> others = AISIterDataset(urls_list="ais://caltech256/00[34].*/*", shuffle=True)
        >>> len(list(AISMixDataset([flags, others], weights=[3, 1])))
        5
        >>> len(list(AISMixDataset([flags], samples_per_epoch=100)))
        100

    Source:
        ``MultiNodeWeightedSampler`` of torchdata 0.11 and ``RandomMix`` of webdataset 1.0.2 for
        what a mix is, ``with_epoch`` of webdataset for epochs of a given length.
    """

    def __init__(
        self,
        datasets: Iterable[ResumableDataset],
        weights: Iterable[float] | None = None,
        *,
        seed: int = 0,
        stop: Stop | None = None,
        samples_per_epoch: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        sharding: Sharding | None = None,
    ) -> None:
        self.datasets = _checked(list(datasets))
        self.weights = _weights(weights, len(self.datasets))
        if stop is not None and (stop not in get_args(Stop) or samples_per_epoch is not None):
            raise ValueError(
                f"stop is {stop!r}: give 'all', 'first' or 'cycle', or samples_per_epoch alone"
            )
        if samples_per_epoch is not None and samples_per_epoch < 1:
            raise ValueError(f"samples_per_epoch is {samples_per_epoch}, it must be 1 or more")
        self._stop: Stop | None = stop or (None if samples_per_epoch else "all")
        self.samples_per_epoch = samples_per_epoch
        made_of = repr((self.weights, self._stop, samples_per_epoch)).encode()
        digest = hashlib.blake2b(made_of, digest_size=16).hexdigest()
        # Their positions are not read: they tell the epoch, also in workers, and who this is.
        identity = RunIdentity(type(self).__name__, digest, seed, shuffle=True)
        self._seed = seed
        self._pass: MixPass | None = None
        self._resumed: MixState | None = None
        epochs = Epochs(identity, _POSITIONS, sharding or Sharding())
        super().__init__(epochs, SharedCounters(), transform, show_progress=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pass": None}

    def __len__(self) -> int:
        """Return how many samples this rank yields in an epoch, if that is no matter of chance.

        Raises:
            TypeError: It is, by ``stop="first"`` or ``"cycle"``, or a dataset has no length.
        """
        if self.samples_per_epoch:
            return length_for_caller(self._worker_shares)
        if self._stop != "all":
            raise TypeError(f"a mix with stop={self._stop!r} has no length: it ends by chance")
        return sum(map(len, self.datasets))  # pyright: ignore[reportArgumentType]

    def state_dict(self) -> dict[str, Any]:
        """Return where the latest pass of this process stands; JSON can hold it.

        Samples that were yielded are consumed.

        Raises:
            StateMismatchError: The workers of a plain `DataLoader` read the latest pass.
        """
        epochs = self._epochs.state()
        state = self._resumed or (self._pass.state() if self._pass else None)
        return {
            "version": _VERSION,
            "dataset": type(self).__name__,
            "manifest": epochs["manifest"],
            "epochs": epochs,
            "mix": state and state.to_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass resume where `state` says; those after it are whole epochs.

        Args:
            state: Of the same worker.

        Raises:
            StateMismatchError: It is of other datasets, weights, seed, another worker or version.
        """
        if not isinstance(state, Mapping) or state.get("version") != _VERSION:
            raise StateMismatchError(
                "no state of a mix, or of another version: give what state_dict() of an "
                "AISMixDataset returned"
            )
        plain = state.get("mix")
        resumed = MixState.from_dict(plain, len(self.datasets)) if plain else None
        self._epochs.load(state.get("epochs") or {})
        self._resumed, self._pass = resumed, None

    def counters(self) -> Counters:
        """Return what the datasets have done until now, all their worker processes together."""
        totals = [dataset.counters() for dataset in self.datasets]
        names = [one.name for one in fields(Counters)]
        return Counters(*(sum(getattr(total, name) for total in totals) for name in names))

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` of the datasets left out until now."""
        return [url for dataset in self.datasets for url in dataset.skipped_urls()]

    def _samples(self, progress: Progress) -> Iterator[Any]:
        state, self._resumed = self._resumed, None
        if state and state.epoch != progress.epoch:
            state = None  # its epoch is over, and the next one was set
        world = self._epochs.world()
        worker = world.worker
        # Where a mix ends by chance, it has to end alike in all ranks, whatever turn each is in.
        turn = progress.worker.turn if self._stop in ("all", None) else 0
        draws = Draws(self.weights, f"{self._seed}/{progress.epoch}/{turn}/{worker}")
        share = self._worker_shares(world.num_workers)[worker] if self.samples_per_epoch else None
        self._pass = MixPass(self.datasets, draws, self._stop, share, state, progress)
        return self._pass

    def _bytes_in(self, sample: Any) -> int:
        raise NotImplementedError("a mix shows no bar of its own: those of its datasets do")

    def _rank_share(self) -> int:
        ranks, samples = self._epochs.known_world().world_size, self.samples_per_epoch or 0
        if samples % ranks:
            raise ValueError(
                f"samples_per_epoch is {samples}, and {ranks} ranks cannot have equally many: give "
                f"{samples - samples % ranks or ranks} or {samples + ranks - samples % ranks}"
            )
        return samples // ranks

    def _worker_shares(self, num_workers: int) -> list[int]:
        share = self._rank_share()
        return [len(range(worker, share, num_workers)) for worker in range(num_workers)]


def _checked(datasets: list[Any]) -> list[ResumableDataset]:
    if not datasets:
        raise ValueError("a mix of no datasets: give at least one")
    for one in datasets:
        if not isinstance(one, ResumableDataset):
            raise TypeError(
                f"cannot mix a {type(one).__name__}: its state is not known; give an "
                "AISIterDataset, AISShardReader or another iterable dataset of this package"
            )
    return datasets


def _weights(weights: Iterable[float] | None, count: int) -> list[float]:
    found = [1.0] * count if weights is None else list(map(float, weights))
    if len(found) != count or not all(0 < weight < math.inf for weight in found):
        raise ValueError(f"weights are {found}: give {count} numbers above 0, one for each dataset")
    return found
