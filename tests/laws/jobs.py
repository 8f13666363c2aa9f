"""How a case reads: one rank after another, alone or by a loader, with stops, states and copies."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from laws.adapters import ADAPTERS, Adapter, Read
from laws.cases import Case
from laws.store import Store

__all__ = ["Job", "Lanes", "Session", "Step", "carried", "lanes_of"]

Step = tuple[Read, ...]
"""What one step of a loader, or of an iteration, gives."""

Lanes = dict[tuple[int, int], list[str]]
"""The samples of each rank and worker, in order."""


class Session:
    """The reading of one rank.

    Args:
        case: How it reads.
        dataset: What it reads.
        sampler: Which samples, of a dataset that has them by index.
    """

    def __init__(self, case: Case, dataset: Any, sampler: Any = None) -> None:
        self.dataset = dataset
        self._case = case
        self._loader = self._loader_of(case, dataset, sampler)
        self._iterator: Iterator[Any] | None = None

    def take(self, count: int | None = None) -> list[Step]:
        """Return the next steps; None for all that are left."""
        if self._loader is None:
            return self._taken(count)
        try:
            return self._taken(count)
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error.with_traceback(None)
        # Its traceback would keep the workers, and torch waits 5 s for each that is then left.
        self.close()
        raise failure

    def _taken(self, count: int | None) -> list[Step]:
        if self._iterator is None:
            self._iterator = iter(self.dataset if self._loader is None else self._loader)
        steps = [_step(self._case, found) for found in itertools.islice(self._iterator, count)]
        if count is None:
            self.stop()
        return steps

    def state(self) -> Any:
        """Return the state, as JSON keeps it."""
        holder = self.dataset if self._loader is None else self._loader
        return json.loads(json.dumps(holder.state_dict()))

    def load(self, state: Any) -> None:
        """Load a state of `state`."""
        self.stop()
        (self.dataset if self._loader is None else self._loader).load_state_dict(state)

    def stop(self) -> None:
        """Forget the iteration, and with it the workers."""
        self._iterator = None

    def close(self) -> None:
        """Forget all: what workers there are end."""
        self._iterator = self._loader = None

    @staticmethod
    def _loader_of(case: Case, dataset: Any, sampler: Any) -> Any:
        if case.mode == "direct" and sampler is None:
            return None
        options: dict[str, Any] = {}
        if case.workers:
            options = {
                "multiprocessing_context": case.start,
                "prefetch_factor": case.prefetch,
                "persistent_workers": case.is_persistent,
            }
        if case.mode == "stateful":
            options["snapshot_every_n_steps"] = case.snapshot
        return (StatefulDataLoader if case.mode == "stateful" else DataLoader)(
            dataset,
            batch_size=case.batch or None,
            collate_fn=list if case.batch else None,
            drop_last=case.drop_last and bool(case.batch),
            num_workers=case.workers,
            sampler=sampler,
            **options,
        )


class Job:
    """All ranks of a case, in this one process, one after another.

    Args:
        case: How it reads.
        store: What it reads.
    """

    def __init__(self, case: Case, store: Store) -> None:
        self.case = case
        self.store = store
        self.adapter: Adapter = ADAPTERS[case.kind]

    def dataset(self, rank: int, **changes: Any) -> Any:
        """Make the dataset of a rank."""
        return self.adapter.make(self.case, self.store, rank, self.case.world, **changes)

    def session(self, rank: int, epoch: int = 0, **changes: Any) -> Session:
        """Begin the reading of a rank."""
        dataset = self.dataset(rank, **changes)
        if epoch:
            dataset.set_epoch(epoch)
        return Session(self.case, dataset)

    def epoch(self, epoch: int = 0) -> list[list[Step]]:
        """Return all steps of all ranks, each read by a dataset of its own."""
        return [self.session(rank, epoch).take() for rank in range(self.case.world)]


def carried(how: str, dataset: Any) -> Any:
    """Return a copy of a dataset."""
    if "deepcopy" in how:
        return copy.deepcopy(dataset)
    return pickle.loads(pickle.dumps(dataset)) if "pickle" in how else dataset


def lanes_of(ranks: list[list[Step]], workers: int) -> Lanes:
    """Return what each worker of each rank read."""
    lanes: Lanes = {(r, w): [] for r in range(len(ranks)) for w in range(max(workers, 1))}
    for rank, steps in enumerate(ranks):
        for worker, sample in itertools.chain.from_iterable(steps):
            lanes[rank, worker].append(sample)
    return lanes


def _step(case: Case, found: Any) -> Step:
    is_batch = case.batch and (case.mode != "direct" or case.kind == "by index")
    return tuple((worker, sample) for worker, sample in (found if is_batch else [found]))
