"""Ranks: which process of a job this is, and what the processes of a job hand each other."""

from __future__ import annotations

import builtins
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch.distributed as dist
from torch.utils.data import get_worker_info

from aisdatapipes import errors

__all__ = ["Lane", "Placement", "current_lane", "share_between_ranks"]

_CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Lane:
    """One of the processes that read a dataset together: a worker of a rank.

    Attributes:
        rank: Number of the training process, from 0.
        world_size: How many of these there are.
        worker: Number of the DataLoader worker in it, from 0; 0 too without workers.
        num_workers: How many of these each rank has, at least 1.

    Raises:
        ValueError: A number is out of its range.
    """

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world_size and 0 <= self.worker < self.num_workers):
            raise ValueError(f"no such lane: {self}: ranks and workers count from 0")

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.world_size}, worker {self.worker} of {self.num_workers}"


class Placement:
    """Where a dataset is read: asked for as late as possible, known in every kind of worker.

    Looked for in this order: what was given; ``torch.distributed``, if it is initialised; in a
    spawned DataLoader worker, what held in the process that started it; the environment's
    ``RANK`` and ``WORLD_SIZE``; one process alone.

    Args:
        rank: Number of this process; None to look for it.
        world_size: How many processes there are; None to look for it.

    Raises:
        ValueError: Only one of the two is given, or they do not fit each other.

    Example:
        >>> Placement(rank=1, world_size=4).lane()
        Lane(rank=1, world_size=4, worker=0, num_workers=1)
    """

    def __init__(self, rank: int | None = None, world_size: int | None = None) -> None:
        self._given = _pair(rank, world_size, "rank= and world_size=")
        self._parents: tuple[int, int] | None = None
        self._parent_pid = 0

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has no process group, so this process answers for it.
        return {"_given": self._given, "_parents": self.rank(), "_parent_pid": os.getpid()}

    def rank(self) -> tuple[int, int]:
        """Return rank and world size, as they are now.

        Raises:
            ValueError: The environment has only one of ``RANK`` and ``WORLD_SIZE``, or no numbers.
        """
        if self._given:
            return self._given
        if _has_group():
            return dist.get_rank(), dist.get_world_size()
        return self._inherited() or _rank_of_environment() or (0, 1)

    def lane(self) -> Lane:
        """Return the lane of this process, as it is now."""
        worker = get_worker_info()
        return Lane(*self.rank(), *((worker.id, worker.num_workers) if worker else (0, 1)))

    def _inherited(self) -> tuple[int, int] | None:
        """What the pickle says, if it was made for this worker, and not to start a rank."""
        parent = multiprocessing.parent_process()
        is_ours = get_worker_info() and parent and parent.pid == self._parent_pid
        return self._parents if is_ours else None


def current_lane(rank: int | None = None, world_size: int | None = None) -> Lane:
    """Return the lane of this process; see `Placement` for where it is looked for.

    Raises:
        ValueError: Only one of the two is given, or they do not fit each other.

    Example:
        >>> print(current_lane())
        rank 0 of 1, worker 0 of 1
    """
    return Placement(rank, world_size).lane()


def _has_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _rank_of_environment() -> tuple[int, int] | None:
    texts = [os.environ.get(name) or None for name in ("RANK", "WORLD_SIZE")]
    try:
        rank, world_size = (None if text is None else int(text) for text in texts)
    except ValueError:
        raise ValueError(
            f"RANK={texts[0]} and WORLD_SIZE={texts[1]} in the environment are not both numbers: "
            "set them right, or pass rank= and world_size="
        ) from None
    return _pair(rank, world_size, "RANK and WORLD_SIZE in the environment, or rank= and ...,")


def _pair(rank: int | None, world_size: int | None, names: str) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(
            f"rank {rank} of world size {world_size}: set both of {names} with 0 <= rank < size"
        )
    return rank, world_size


def share_between_ranks(key: str, build: Callable[[], bytes]) -> bytes:
    """Return what one rank of the job builds, in every rank that asks for it.

    The first rank to come builds, the others wait for its result. It is no collective: a rank
    that never asks holds up nobody. The n-th call of a rank with the same key gets what the
    n-th call of the other ranks gets. Without a process group, and in DataLoader workers, it
    just builds.

    Args:
        key: What it is, the same text in all ranks.
        build: Makes it; its result is held by the process group's store until all have it.

    Raises:
        Exception: What `build` raised, in all ranks that asked for it, with the same type (for
            built-in errors and those of this package) and the same message.
        RuntimeError: It did not come within the time-out of the process group.

    Example:
        >>> share_between_ranks("greeting", lambda: b"hello")
        b'hello'
    """
    if not _can_share():
        return build()
    calls = _calls.setdefault(dist.group.WORLD, Counter())
    calls[key] += 1
    place = f"aisdatapipes/{key}/{calls[key]}"
    # There is no public way to it: torch 2.2 to 2.15 have this one.
    store: Any = dist.distributed_c10d._get_default_store()  # its stub lacks bytes and time-outs
    if store.add(f"{place}/claims", 1) == 1:
        return _publish(store, place, build)
    return _receive(store, place, key)


def _can_share() -> bool:
    if not _has_group() or get_worker_info() or _inherited_group() is dist.group.WORLD:
        return False
    return dist.get_world_size() > 1


_calls: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()
_inherited_group: Callable[[], Any] = lambda: None  # noqa: E731 - replaced by a weak reference


def _mark_group_as_inherited() -> None:
    global _inherited_group
    if _has_group():  # its sockets are the parent's
        _inherited_group = ref(dist.group.WORLD)


os.register_at_fork(after_in_child=_mark_group_as_inherited)


def _publish(store: Any, place: str, build: Callable[[], bytes]) -> bytes:
    try:
        result = build()
    except Exception as error:
        failure = {"error": type(error).__name__, "message": str(error)}
        store.set(f"{place}/head", json.dumps(failure))
        raise
    for start in range(0, len(result), _CHUNK_BYTES):
        store.set(f"{place}/{start}", result[start : start + _CHUNK_BYTES])
    store.set(f"{place}/head", json.dumps({"bytes": len(result)}))
    return result


def _receive(store: Any, place: str, key: str) -> bytes:
    try:
        store.wait([f"{place}/head"])
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {dist.get_rank()} waited {store.timeout} for {key!r}, which another rank "
            "builds: look in its log, or give init_process_group a longer timeout"
        ) from error
    head = json.loads(store.get(f"{place}/head"))
    if "error" in head:
        raise _rebuilt(head["error"], head["message"])
    keys = [f"{place}/{start}" for start in range(0, head["bytes"], _CHUNK_BYTES)]
    result = b"".join(map(store.get, keys))
    if store.add(f"{place}/received", 1) == dist.get_world_size() - 1:
        for one in (*keys, *(f"{place}/{end}" for end in ("head", "claims", "received"))):
            store.delete_key(one)
    return result


def _rebuilt(kind: str, message: str) -> Exception:
    found = getattr(errors, kind, None) or getattr(builtins, kind, None)
    try:
        if isinstance(found, type) and issubclass(found, Exception):
            return found(message)
    except TypeError:  # one that takes more than a message
        pass
    return RuntimeError(f"{kind}: {message}")
