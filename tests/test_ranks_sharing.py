"""What one rank builds reaches the others: real processes, real process groups."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

from aisdatapipes import errors
from aisdatapipes.distributed.rank_sharing import share_between_ranks
from support.jobs import run_ranks


def keys_in_store() -> int:
    """How many keys of ours the group's store holds."""
    store = dist.distributed_c10d._get_default_store()
    return sum("aisdatapipes" in key for key in store.list_keys())


def build_once(folder: str, size: int) -> tuple[str, int]:
    """Share a big result; return its digest and what was left in the store."""

    def build() -> bytes:
        Path(folder, f"built by {dist.get_rank()}").touch()
        return bytes(range(256)) * (size // 256)

    digest = hashlib.sha256(share_between_ranks("big", build)).hexdigest()
    dist.barrier()
    return digest, keys_in_store()


def test_one_rank_builds_for_all(tmp_path: Path) -> None:
    """Three ranks get the same 10 MB, built once, and none of it stays in the store."""
    size = 10 * 2**20
    results = run_ranks(3, build_once, str(tmp_path), size)
    expected = hashlib.sha256(bytes(range(256)) * (size // 256)).hexdigest()
    assert results == [(expected, 0)] * 3
    assert len(list(tmp_path.iterdir())) == 1


def build_in_rank_0() -> bytes | None:
    """Share something that the other ranks never ask for."""
    return share_between_ranks("lonely", lambda: b"mine") if dist.get_rank() == 0 else None


def test_a_rank_that_does_not_ask_holds_up_nobody() -> None:
    """It is no collective: rank 0 alone builds and goes on."""
    assert run_ranks(2, build_in_rank_0) == [b"mine", None]


def build_thrice() -> list[bytes]:
    """Share under one key and under another one, with rank and number of the call in it."""
    keys = ("a", "b", "a")
    return [share_between_ranks(key, f"{key}{n}".encode) for n, key in enumerate(keys)]


def test_calls_are_matched_in_order() -> None:
    """The second use of a key is another result than the first."""
    assert run_ranks(2, build_thrice) == [[b"a0", b"b1", b"a2"]] * 2


def fail(error: Exception) -> tuple[str, str, bool]:
    """Let the builder fail, also later than the others come to wait."""

    def build() -> bytes:
        time.sleep(0.5)
        raise error

    with pytest.raises(Exception, match=str(error)[-5:]) as caught:
        share_between_ranks("failing", build)
    return caught.type.__name__, str(caught.value), isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.BucketNotFoundError("no bucket ais://b"), ("BucketNotFoundError", True)),
        (ValueError("no source"), ("ValueError", False)),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), ("RuntimeError", False)),
    ],
)
def test_the_builders_error_reaches_all(error: Exception, expected: tuple[str, bool]) -> None:
    """Same type and message in every rank; a type that takes more than a message is named."""
    for name, message, is_os_error in run_ranks(2, fail, error):
        if name == type(error).__name__:
            assert message == str(error)
        else:
            assert (name, is_os_error) == expected
            assert message.endswith(str(error))


def wait_for_nobody() -> str:
    """Ask for what the other rank has claimed and never builds."""
    if dist.get_rank() == 0:
        store = dist.distributed_c10d._get_default_store()
        store.add("aisdatapipes/stuck/1/claims", 1)
        dist.barrier()
        return ""
    dist.barrier()
    store = dist.distributed_c10d._get_default_store()
    store.set_timeout(dist.default_pg_timeout / 1800)  # one second
    with pytest.raises(RuntimeError) as caught:
        share_between_ranks("stuck", lambda: b"")
    return str(caught.value)


def test_waiting_ends() -> None:
    """A builder that died is named by key after the group's time-out."""
    message = run_ranks(2, wait_for_nobody)[1]
    assert message.startswith("rank 1 waited 0:00:01 for 'stuck'")


class Sharing(Dataset):
    """Shares in the process that reads it."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        if index >= 2:
            raise IndexError(index)
        return int(share_between_ranks("pid", lambda: str(os.getpid()).encode()))


def share_in_workers(start_method: str) -> tuple[list[int], int]:
    """Return the processes that built for two workers, and this one."""
    loader = DataLoader(
        Sharing(), batch_size=None, num_workers=2, multiprocessing_context=start_method
    )
    return list(loader), keys_in_store()


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_workers_build_for_themselves(start_method: str) -> None:
    """A worker never talks to the store, whose connection is its parent's."""
    results = run_ranks(2, share_in_workers, start_method)
    built = {pid for pids, _ in results for pid in pids}
    assert len(built) == 4
    assert [keys for _, keys in results] == [0, 0]


def share_in_a_child() -> tuple[bool, int]:
    """Share in a plain fork of a rank."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sender, share_between_ranks("forked", lambda: str(os.getpid()).encode()))
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(receiver, 100)) == child, keys_in_store()


def test_forked_children_build_for_themselves() -> None:
    """A process that inherited the group does not use it."""
    assert run_ranks(2, share_in_a_child) == [(True, 0)] * 2


def test_without_a_group_it_just_builds() -> None:
    """Every call builds."""
    assert [share_between_ranks("x", text.encode) for text in "ab"] == [b"a", b"b"]
