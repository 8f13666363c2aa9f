"""The order of an epoch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aisdatapipes.distributed.shuffling import epoch_order, order_digest

LAW = settings(deadline=None)
SEEDS = st.integers(-(2**70), 2**70)
EPOCHS = st.integers(0, 2**40)


@LAW
@given(st.integers(0, 300), SEEDS, EPOCHS)
def test_every_position_comes_once(count: int, seed: int, epoch: int) -> None:
    """Of any seed and epoch, shuffled or not."""
    shuffled = epoch_order(count, seed, epoch, shuffle=True)
    assert sorted(shuffled.tolist()) == list(range(count))
    assert epoch_order(count, seed, epoch, shuffle=False).tolist() == list(range(count))


@LAW
@given(SEEDS, EPOCHS)
def test_orders_repeat_and_differ(seed: int, epoch: int) -> None:
    """The same seed and epoch give the same order; another of either gives another order."""

    def digest(seed: int, epoch: int) -> str:
        return order_digest(epoch_order(100, seed, epoch, shuffle=True))

    assert digest(seed, epoch) == digest(seed, epoch)
    assert len({digest(seed, epoch), digest(seed + 1, epoch), digest(seed, epoch + 1)}) == 3


def test_the_global_generator_is_left_alone() -> None:
    """The user's own random numbers neither change the order nor are changed by it."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    epoch_order(100, seed=0, epoch=0, shuffle=True)
    assert torch.equal(torch.rand(3), expected)
