"""Jobs of several ranks: real processes with a real process group, on this machine alone."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import torch.distributed as dist
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]


def run_ranks(
    world_size: int, work: Callable[..., Any], *arguments: Any, timeout_s: float = 100
) -> list[Any]:
    """Run ``work(*arguments)`` in every rank of a gloo group and return the results by rank.

    Each rank is a process that has nothing of this one but its environment, so `work` is a
    function of a module. An error in a rank is raised here, with its traceback as text.
    """
    # Like "spawn", but torch is imported already, which takes seconds.
    context = multiprocessing.get_context("forkserver")
    # The system picks the port: the store that listens on it is this process's.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    ends = [context.Pipe(duplex=False) for _ in range(world_size)]
    ranks = [
        context.Process(
            target=_run_rank,
            args=(end, dict(os.environ), store.port, rank, world_size, timeout_s, work, arguments),
        )
        for rank, (_, end) in enumerate(ends)
    ]
    for process in ranks:
        process.start()
    try:
        results = [_result_of(receiver, timeout_s) for receiver, _ in ends]
        for process in ranks:
            process.join(timeout_s)
        return results
    finally:
        for process in ranks:
            process.kill()
            process.join()


@contextmanager
def gloo_group(port: int, rank: int, world_size: int, timeout_s: float):
    """Be a rank of a group inside the block."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    timeout = timedelta(seconds=timeout_s)
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=timeout)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size, timeout=timeout)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _run_rank(
    end: Connection,
    environment: dict[str, str],
    port: int,
    rank: int,
    world_size: int,
    timeout_s: float,
    work: Callable[..., Any],
    arguments: tuple,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    try:
        with gloo_group(port, rank, world_size, timeout_s):
            end.send((work(*arguments), None))
            dist.barrier()  # nobody hangs up while another one still talks
    except BaseException:  # noqa: BLE001 - raised again in the process that waits for it
        end.send((None, traceback.format_exc()))


def _result_of(receiver: Connection, timeout_s: float) -> Any:
    if not receiver.poll(timeout_s):
        raise TimeoutError(f"a rank gave no result within {timeout_s} s")
    result, failure = receiver.recv()
    if failure:
        raise RuntimeError(failure)
    return result
