"""Shuffling: the order of an epoch, the same in every process of a job."""

from __future__ import annotations

import hashlib

import torch

from aisdatapipes.distributed.world import World

__all__ = ["block_order", "epoch_order", "order_digest", "turn_order"]

_DIGEST_POSITIONS = 1024


def epoch_order(count: int, seed: int, epoch: int, *, shuffle: bool) -> torch.Tensor:
    """Return the positions 0 to `count` - 1 in the order that this epoch has.

    Args:
        count: How many there are.
        seed: Of the run. Orders of different seeds or epochs have nothing to do with each other.
        epoch: Number of the epoch.
        shuffle: Whether the order is random; without it, it is the same in every epoch.

    Returns:
        A tensor of integers, one for each position.

    Example:
        >>> epoch_order(5, seed=0, epoch=0, shuffle=False).tolist()
        [0, 1, 2, 3, 4]
        >>> sorted(epoch_order(5, seed=0, epoch=7, shuffle=True).tolist())
        [0, 1, 2, 3, 4]
    """
    if not shuffle:
        return torch.arange(count)
    return _random_order(count, f"{seed}/{epoch}")


def turn_order(count: int, seed: int, epoch: int, turn: int, worker: World) -> torch.Tensor:
    """Return the order in which a worker reads its slice when it reads it once more.

    Args:
        count: How many positions the slice has.
        seed: Of the run.
        epoch: Number of the epoch.
        turn: How often the slices were read before. The first time, they are in the epoch's order.
        worker: Whose slice it is.

    Example:
        >>> turn_order(3, seed=0, epoch=0, turn=0, worker=World(1, 2)).tolist()
        [0, 1, 2]
        >>> sorted(turn_order(3, seed=0, epoch=0, turn=1, worker=World(1, 2)).tolist())
        [0, 1, 2]
    """
    if not turn:
        return torch.arange(count)
    return _random_order(count, f"{seed}/{epoch}/{turn}/{worker.rank}/{worker.worker}")


def block_order(count: int, seed: int, epoch: int, block: str) -> torch.Tensor:
    """Return the positions 0 to `count` - 1 in the random order that a block of an epoch has.

    Args:
        count: How many there are in the block.
        seed: Of the run.
        epoch: Number of the epoch.
        block: Name of the block; each has an order of its own.

    Example:
        >>> sorted(block_order(4, seed=0, epoch=0, block="shards 3").tolist())
        [0, 1, 2, 3]
    """
    return _random_order(count, f"{seed}/{epoch}/{block}")


def _random_order(count: int, key: str) -> torch.Tensor:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    # Not torch's global generator: the user's seeds and draws change nothing, and are not changed.
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big", signed=True))
    return torch.randperm(count, generator=generator)


def order_digest(order: torch.Tensor) -> str:
    """Return a short text that tells this order from those of another generator.

    Example:
        >>> order_digest(torch.arange(3)) == order_digest(torch.tensor([2, 1, 0]))
        False
    """
    positions = order[:_DIGEST_POSITIONS].tolist()
    return hashlib.blake2b(repr(positions).encode(), digest_size=8).hexdigest()
