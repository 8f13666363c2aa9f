"""Rank sharing: what one rank of a job works out for all of them."""

from __future__ import annotations

import builtins
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch.distributed as dist
from torch.utils.data import get_worker_info

from aisdatapipes import errors
from aisdatapipes.distributed.world import has_group

__all__ = ["share_between_ranks"]

_CHUNK_BYTES = 4 * 2**20


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
    if not has_group() or get_worker_info() or _inherited_group() is dist.group.WORLD:
        return False
    return dist.get_world_size() > 1


_calls: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()
_inherited_group: Callable[[], Any] = lambda: None  # noqa: E731 - replaced by a weak reference


def _mark_group_as_inherited() -> None:
    global _inherited_group
    if has_group():  # its sockets are the parent's
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
