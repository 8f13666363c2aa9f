"""Sharding of pipes: whether every worker of every rank reads a part of its own.

torch's ``sharding_filter`` does nothing by itself. A DataLoader tells it which part to let pass,
and does so only for pipes that it was given as they are, not for those in another dataset. So a
loader looks, when it begins, whether somebody has told the filters around it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Protocol

from torch.utils.data import IterDataPipe
from torch.utils.data.datapipes.iter.combinatorics import ShufflerIterDataPipe
from torch.utils.data.datapipes.iter.sharding import ShardingFilterIterDataPipe
from torch.utils.data.graph import traverse_dps

from aisdatapipes.distributed.callers import (
    accelerate_reads_in_every_rank,
    accelerate_shares,
    callers,
)
from aisdatapipes.distributed.world import RankUnknownError, World, WorldDetector

__all__ = ["own_share"]

_logger = logging.getLogger(__name__)


class Loads(Protocol):
    """A loader: it reads what another pipe gives."""

    source_datapipe: IterDataPipe[str]


def own_share(pipe: Loads) -> Iterable[str]:
    """Return the URLs of this worker's part, or warn that all workers and ranks read the same.

    Call it before the first item. Where Accelerate shares between ranks, the filters are told to
    share between workers only: torch's DataLoader has told them to share between ranks too. A
    worker that gets no URL logs a warning.

    Warns:
        UserWarning: All of them read the same.

    Raises:
        ValueError: Accelerate reads the pipe in every rank, each in another order.
    """
    try:
        world = WorldDetector().world()
    except RankUnknownError:
        return pipe.source_datapipe  # the rank is the business of whoever reads it
    is_shared = accelerate_shares()
    if world == World() and not is_shared:
        return pipe.source_datapipe
    filters = list(_around(pipe, ShardingFilterIterDataPipe))
    if is_shared:
        _refuse_several_orders(pipe)
        for one in filters:
            one.groups.clear()
            one.apply_sharding(world.num_workers, world.worker)
    parts = max((one.num_of_instances for one in filters), default=1)
    if parts < world.world_size * world.num_workers:
        _warn(_advice(pipe, world, has_filter=bool(filters), parts=parts))
    return _told_if_empty(pipe.source_datapipe, world)


def _told_if_empty(urls: Iterable[str], world: World) -> Iterator[str]:
    is_empty = True
    for url in urls:
        is_empty = False
        yield url
    if is_empty:
        _logger.warning(
            "%s has nothing to read: use fewer workers, or more objects or shards", world
        )


@cache
def _warn(advice: str) -> None:
    """Warn, once in a process."""
    warnings.warn(advice, stacklevel=3)


def _around(pipe: Any, kind: type[Any]) -> Iterator[Any]:
    """Yield the pipes of a kind that `pipe` reads from, and those that are reading from it."""
    found: dict[int, Any] = {}
    graphs = [traverse_dps(pipe)]
    while graphs:
        for number, (one, graph) in graphs.pop().items():
            found[number] = one
            graphs.append(graph)
    pipes = (one for one in callers() if one.module.startswith("torch.utils.data.datapipes"))
    found.update((id(one.owner), one.owner) for one in pipes)
    return (one for one in found.values() if isinstance(one, kind))


def _refuse_several_orders(pipe: Loads) -> None:
    if accelerate_reads_in_every_rank() and list(_around(pipe, ShufflerIterDataPipe)):
        raise ValueError(
            "Accelerate reads this pipe in every rank and takes a part of it, but its shuffle() "
            "gives every rank another order, so that samples would be lost: use AISIterDataset or "
            "AISShardReader with shuffle=True, dispatch_batches=True, or leave the DataLoader out "
            "of accelerator.prepare()"
        )


def _advice(pipe: Loads, world: World, *, has_filter: bool, parts: int) -> str:
    if has_filter:
        why = (
            f"nobody has told its sharding_filter (it makes {parts} part(s) of the data): give the "
            "pipe itself to a DataLoader, not inside of another dataset, or call "
            "torch.utils.data.graph_settings.apply_sharding(pipe, number_of_parts, part)"
        )
    else:
        why = "it has no sharding_filter: put .sharding_filter() before the loader"
    return (
        f"{type(pipe).__name__} reads the same in each of {world.world_size} rank(s) with "
        f"{world.num_workers} worker(s), so that samples come several times, as {why}"
    )
