"""Mismatch: why a state is not of the run that is to resume, and what to do about it."""

from __future__ import annotations

from aisdatapipes.checkpoint.merging import MERGE
from aisdatapipes.errors import StateMismatchError

__all__ = ["check_equal", "mismatch"]

_NEXT_STEPS = {
    "dataset": "load it into a dataset of that class",
    "manifest": "make the dataset of the same sources, or of the manifest that the run saved",
    "seed": "make the dataset with the seed of the state",
    "shuffle": "make the dataset with the shuffle of the state",
    "shuffle_buffer": "make the dataset with the shuffle_buffer of the state",
    "order": "shuffle with the torch that the run had",
    "uneven": "make the dataset with the uneven of the state",
    "partition": MERGE,
    "worker": MERGE,
    "epoch": "call set_epoch with the epoch of the state, or start without it",
}


def check_equal(name: str, value: object, expected: object) -> None:
    """Check what a state says against what is here.

    Raises:
        StateMismatchError: They differ.
    """
    if value != expected:
        raise mismatch(name, value, expected)


def mismatch(name: str, value: object, expected: object) -> StateMismatchError:
    """Return the error for a state that differs.

    Args:
        name: In what.
        value: What the state says.
        expected: What is here.
    """
    return StateMismatchError(
        f"the state is of {name} {value!r}, here it is {expected!r}: {_NEXT_STEPS[name]}"
    )
