"""Turns: the pass that comes after another one where nobody says which epoch it is."""

from __future__ import annotations

from itertools import chain

from laws.adapters import ADAPTERS
from laws.cases import Case
from laws.jobs import Step
from laws.model import base, equal, law
from laws.steps import read_epoch
from laws.store import Store

__all__ = ["check_next_pass"]


def check_next_pass(
    case: Case, store: Store, rank: int, epoch: int, found: list[Step], text: str
) -> None:
    """Hold the pass after one of `epoch` to the laws j and l."""
    if not case.shuffle or case.world == 1:
        expected = read_epoch(case, store, epoch + case.shuffle).ranks[rank]
        equal("l" if case.shuffle else "j", found, expected, f"rank {rank}, {text}")
        return
    whole = read_epoch(case, store, epoch).ranks[rank]
    if case.is_whole or (case.uneven != "keep" and ADAPTERS[case.kind].is_even_after_skips):
        law("j", len(found) == len(whole), f"rank {rank}, {text}: {found} in place of {whole}")
    if case.is_whole and case.uneven != "drop":
        samples, expected = (
            {base(one) for _, one in chain.from_iterable(steps)} for steps in (found, whole)
        )
        law("l", samples == expected, f"rank {rank}, {text}: {samples} in place of {expected}")
