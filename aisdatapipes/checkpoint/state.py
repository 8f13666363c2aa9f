"""State: what a dataset saves, as frozen dataclasses. Nothing else knows its keys.

A `Checkpoint` says which run it is of (`RunIdentity`, epoch, digest of the epoch's order), and
how far it has come. That is told of one worker, or of a run as a whole:

- ``worker`` says whose state it is, and how many positions of that worker's slice are done.
- ``begun`` has the positions that were begun and are not done, with what was read of each.
- ``history`` has the stops before this part of the epoch began: how the positions that were left
  then went to the workers of that time, and how far each came. What remains of the epoch's order
  after all of them is what is partitioned now, for whatever ranks and workers there are.

The state of a run as a whole has no ``worker``; `merge_states` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_args

from aisdatapipes.distributed.partition import Partition, Uneven
from aisdatapipes.distributed.world import World
from aisdatapipes.errors import StateMismatchError

__all__ = [
    "VERSION",
    "Checkpoint",
    "EqualStepsProgress",
    "PastStop",
    "PositionProgress",
    "RowProgress",
    "RunIdentity",
    "ShardOffset",
    "ShardProgress",
    "WorkerProgress",
]

VERSION = 3

_LEAST_SAMPLE_BYTES = 512
"""The header of one file, which has no content."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class RunIdentity:
    """What has to be equal for a state to mean the same.

    Attributes:
        dataset: Name of the dataset's class.
        manifest: Fingerprint of what it reads.
        seed: Of the orders of its epochs.
        shuffle: Whether these are random.
        shuffle_buffer: How many samples of a shard the next one is drawn from; 0 for none.
    """

    dataset: str
    manifest: str
    seed: int = 0
    shuffle: bool = False
    shuffle_buffer: int = 0


@dataclass(frozen=True)
class ShardProgress:
    """How much of one shard is done.

    Attributes:
        samples: How many of its samples were given out.
        read: How many were read; those that were not given out are in the shuffle buffer.
        offset: Byte at which the next sample to read begins; None where a shard can only be read
            from its beginning, as one that is compressed.
        buffered: Where the buffered samples are, in blocks of 512 bytes: gap, length, gap, ….
        fingerprint: What tells its content from another's; empty if unknown.
        turn: In which turn of the epoch it was begun; the order of its samples is that turn's.
    """

    samples: int = 0
    read: int = 0
    offset: int | None = 0
    buffered: tuple[int, ...] = ()
    fingerprint: str = ""
    turn: int = 0


@dataclass(frozen=True)
class ShardOffset:
    """Where one of several streams stands.

    Attributes:
        shard: Number of the shard in the stream.
        files: How many of its files are done.
        offset: Byte at which the next one begins; None where it can only be read from its
            beginning.
    """

    shard: int
    files: int = 0
    offset: int | None = 0


@dataclass(frozen=True)
class RowProgress:
    """How much of one row of shards is done.

    Attributes:
        samples: How many of its tuples were given out.
        streams: Where each stream stands.
    """

    samples: int
    streams: tuple[ShardOffset, ...]


PositionProgress = ShardProgress | RowProgress


@dataclass(frozen=True)
class EqualStepsProgress:
    """How far a worker has come to what all ranks have agreed on.

    Attributes:
        uneven: What happens where its shards have less or more.
        target: How many samples it gives in this part of the epoch.
        available: How many its shards have, as they were counted.
        given: How many of them it has given.
        repeated: How many of these were padding.
    """

    uneven: Uneven
    target: int
    available: int
    given: int = 0
    repeated: int = 0


@dataclass(frozen=True)
class WorkerProgress:
    """How far one worker has come in its slice.

    Attributes:
        partition: How the positions went to the workers.
        rank: Number of its rank.
        worker: Its number.
        consumed: How many positions of its slice are done.
        equal_steps: Of samples; None where ranks need not make equally many steps.
        turn: How often the epoch's slices were read before; each turn has an order of its own.
    """

    partition: Partition
    rank: int
    worker: int
    consumed: int = 0
    equal_steps: EqualStepsProgress | None = None
    turn: int = 0

    @property
    def world(self) -> World:
        """Which worker it is."""
        return self.partition.worker(self.rank, self.worker)


@dataclass(frozen=True)
class PastStop:
    """A stop at which a run was merged.

    Attributes:
        partition: How positions went to the workers until then.
        consumed: Run lengths of how many positions each worker had done: (workers, positions).
        turns: Run lengths of the turn that each worker was in: (workers, turn).
    """

    partition: Partition
    consumed: tuple[tuple[int, int], ...]
    turns: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Checkpoint:
    """The state of one worker, or of a run as a whole; see the top of this module."""

    identity: RunIdentity
    epoch: int
    order: str
    history: tuple[PastStop, ...] = ()
    begun: Mapping[int, PositionProgress] = field(default_factory=dict)
    worker: WorkerProgress | None = None

    @property
    def turn(self) -> int:
        """The turn it is in; of a run as a whole, the latest that a worker was in."""
        if self.worker:
            return self.worker.turn
        return max((turn for stop in self.history[-1:] for _, turn in stop.turns), default=0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data that JSON can hold, in much less than 0.1 ms."""
        return {
            "version": VERSION,
            **vars(self.identity),
            "epoch": self.epoch,
            "order": self.order,
            "history": [_plain_stop(stop) for stop in self.history],
            "begun": {str(at): _plain_position(done) for at, done in self.begun.items()},
            "worker": _plain_worker(self.worker) if self.worker else None,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint that `to_dict` made `state` of.

        Raises:
            StateMismatchError: It is no state, of another version, or changed.
        """
        if not isinstance(state, Mapping) or not {"version", "dataset", "manifest"} <= state.keys():
            raise StateMismatchError(
                "no state of a dataset of aisdatapipes: give what state_dict() or merge_states "
                "returned"
            )
        if state["version"] != VERSION:
            raise StateMismatchError(
                f"the state is of version {state['version']!r}, here it is {VERSION}: load it with "
                "the release of aisdatapipes that saved it, or start its epoch again"
            )
        try:
            identity = RunIdentity(**{one.name: state[one.name] for one in fields(RunIdentity)})
            begun = {int(at): _position_progress(done) for at, done in state["begun"].items()}
            for progress in begun.values():
                _check_possible(progress, identity.shuffle_buffer)
            return cls(
                identity,
                _count(state["epoch"]),
                state["order"],
                tuple(map(_past_stop, state["history"])),
                begun,
                _worker_progress(state["worker"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateMismatchError(
                f"the state was changed after it was saved ({type(error).__name__}: {error}): give "
                "what state_dict() or merge_states returned"
            ) from None


# By hand, as `dataclasses.asdict` takes several times as long, and workers say their state with
# every batch. Positions, of which there may be many, go without the names of their fields.


def _plain_stop(stop: PastStop) -> dict[str, Any]:
    counts = {"consumed": list(map(list, stop.consumed)), "turns": list(map(list, stop.turns))}
    return {"partition": {**vars(stop.partition)}, **counts}


def _plain_position(done: PositionProgress) -> list[Any]:
    if isinstance(done, RowProgress):
        return [done.samples, [[one.shard, one.files, one.offset] for one in done.streams]]
    blocks = list(done.buffered)
    return [done.samples, done.read, done.offset, blocks, done.fingerprint, done.turn]


def _plain_worker(worker: WorkerProgress) -> dict[str, Any]:
    steps = worker.equal_steps
    parts = {"partition": {**vars(worker.partition)}, "equal_steps": steps and {**vars(steps)}}
    return {**vars(worker), **parts}


def _past_stop(stop: Mapping[str, Any]) -> PastStop:
    partition = _filled(Partition, stop["partition"])
    return PastStop(partition, _run_lengths(stop["consumed"]), _run_lengths(stop["turns"]))


def _run_lengths(pairs: Sequence[Sequence[Any]]) -> tuple[tuple[int, int], ...]:
    return tuple((_count(times), _count(count)) for times, count in pairs)


def _position_progress(done: Sequence[Any]) -> PositionProgress:
    if len(done) == 2:
        samples, streams = done
        return RowProgress(_count(samples), tuple(_shard_offset(*one) for one in streams))
    samples, read, offset, buffered, fingerprint, turn = done
    if len(buffered) % 2:
        raise ValueError(f"{len(buffered)} borders of what is buffered make no pairs")
    where = _count_or_none(offset), tuple(map(_count, buffered))
    return ShardProgress(_count(samples), _count(read), *where, str(fingerprint), _count(turn))


def _check_possible(done: PositionProgress, shuffle_buffer: int) -> None:
    """Refuse counts that are not those of any run; to go on from them could take for ever."""
    if isinstance(done, RowProgress):
        return
    if not 0 <= done.read - done.samples <= shuffle_buffer:
        raise ValueError(
            f"{done.samples} samples were given out, {done.read} read, and {shuffle_buffer} at "
            "most are in the shuffle buffer"
        )
    if done.offset is not None and done.read > done.offset // _LEAST_SAMPLE_BYTES:
        raise ValueError(f"{done.read} samples do not fit into {done.offset} bytes")


def _shard_offset(shard: int, files: int, offset: int | None) -> ShardOffset:
    return ShardOffset(_count(shard), _count(files), _count_or_none(offset))


def _worker_progress(worker: Mapping[str, Any] | None) -> WorkerProgress | None:
    if worker is None:
        return None
    steps = worker["equal_steps"]
    partition = _filled(Partition, worker["partition"])
    equal_steps = None if steps is None else _filled(EqualStepsProgress, steps)
    found = _filled(WorkerProgress, worker, partition=partition, equal_steps=equal_steps)
    partition.worker(found.rank, found.worker)
    return found


def _filled(kind: type[_T], plain: Mapping[str, Any], **typed: Any) -> _T:
    """Return a dataclass of counts, of `uneven` and of what is typed already."""
    names = {one.name for one in fields(kind)}  # pyright: ignore[reportArgumentType]
    if plain.keys() != names:
        raise ValueError(f"{kind.__name__} has {', '.join(sorted(names))}, not {[*plain]}")
    if "uneven" in names and plain["uneven"] not in get_args(Uneven):
        raise ValueError(f"uneven is {plain['uneven']!r}")
    counts = {name: _count(plain[name]) for name in names - typed.keys() - {"uneven"}}
    return kind(**{**plain, **counts, **typed})


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _count_or_none(value: Any) -> int | None:
    return None if value is None else _count(value)
