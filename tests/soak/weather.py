"""What goes wrong in one epoch: rules of a `FaultProxy`, drawn by a seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from typing_extensions import override

from support.fault_edits import DropEntry, EndEarly, SwapEntries
from support.fault_rules import (
    Answer,
    Ask,
    Cut,
    EmptyPage,
    Latency,
    Refuse,
    Reset,
    Rule,
    Stall,
    Status,
    Take,
)

__all__ = ["READ_TIMEOUT_S", "Slow", "Sometimes", "weather"]

READ_TIMEOUT_S = 1.5
"""What the readers have to be given, so that some stalls are too long for them."""

_REQUESTS = r"GET /v1/(objects|ml/moss|buckets)\b"
_BODIES = r"GET /v1/(objects|ml/moss)\b"
_ENTRIES = 20
# A shard of `outages.contents`, or a batch.
_MOST_BYTES = 120_000


@dataclass(frozen=True, eq=False)
class Slow(Rule):
    """Send some bytes of a body one by one, one in a second, and then the rest.

    Args:
        after_bytes: Bytes that come at once.
        count: How many come alone.
    """

    after_bytes: int
    count: int

    @override
    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        passed, left = 0, self.count
        async for chunk in chunks:
            at = max(0, self.after_bytes - passed)
            passed += len(chunk)
            while at < len(chunk) and left and (left < self.count or take()):
                yield chunk[:at]
                yield chunk[at : at + 1]
                await asyncio.sleep(1)
                chunk, at, left = chunk[at + 1 :], 0, left - 1
            yield chunk


@dataclass(frozen=True, eq=False)
class Sometimes(Rule):
    """Another rule, for a random share of its requests.

    Args:
        rule: The other one.
        share: Of the requests.
        chance: Decides.
    """

    rule: Rule
    share: float
    chance: Random

    @override
    def is_for(self, ask: Ask) -> bool:
        return super().is_for(ask) and self.rule.is_for(ask) and self.chance.random() < self.share

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        return await self.rule.before(ask, take)

    @override
    def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        return self.rule.body(chunks, take)


def weather(seed: str, *, is_for_listings: bool, is_quick: bool) -> list[Rule]:
    """Return the rules of an epoch: one to four kinds of faults at the same time.

    Args:
        seed: Of all that is drawn.
        is_for_listings: Whether listings are broken too.
        is_quick: Leave out what makes the readers wait for seconds.
    """
    chance = Random(seed)
    kinds = _QUICK if is_quick else [*_QUICK, *_SLOW]
    kinds = chance.sample(kinds, chance.randint(1, 4))
    requests = _REQUESTS if is_for_listings else _BODIES
    rules = (rule for kind in kinds for rule in kind(chance))
    return [replace(rule, matches=rule.matches or requests) for rule in rules]


def _storm(chance: Random) -> Iterator[Rule]:
    code = chance.choice([503, 503, 503, 500, 429])
    yield _sometimes(chance, Status(code), 0.4)


def _refusals(chance: Random) -> Iterator[Rule]:
    yield _sometimes(chance, Refuse(), 0.3)
    yield _sometimes(chance, Reset(), 0.3)


def _resets(chance: Random) -> Iterator[Rule]:
    for _ in range(4):
        yield _sometimes(chance, Reset(_position(chance)), 0.3)


def _cuts(chance: Random) -> Iterator[Rule]:
    for _ in range(4):
        yield _sometimes(chance, Cut(_position(chance)), 0.3)


def _pauses(chance: Random) -> Iterator[Rule]:
    for _ in range(2):
        stall = Stall(_position(chance), chance.uniform(0, 0.2))
        yield _sometimes(chance, stall, 0.2, times=20)
    yield _sometimes(chance, Latency(chance.uniform(0, 0.2)), 0.2, times=20)


def _stalls(chance: Random) -> Iterator[Rule]:
    yield Stall(_position(chance), 60, times=chance.randint(1, 2))
    yield Latency(60)


def _slow_bodies(chance: Random) -> Iterator[Rule]:
    yield Slow(_position(chance), chance.randint(1, 3), matches=_BODIES)


def _bad_batches(chance: Random) -> Iterator[Rule]:
    first, second = chance.sample(range(_ENTRIES), 2)
    for rule in (DropEntry(first), SwapEntries(first, second), EndEarly(first), EndEarly(second)):
        yield _sometimes(chance, rule, 0.4)


def _empty_pages(chance: Random) -> Iterator[Rule]:
    yield EmptyPage(times=chance.randint(1, 3))


_QUICK: list[Callable[[Random], Iterator[Rule]]] = [
    _storm,
    _refusals,
    _resets,
    _cuts,
    _bad_batches,
    _empty_pages,
]
_SLOW = [_pauses, _stalls, _slow_bodies]


def _sometimes(chance: Random, rule: Rule, most: float, times: int | None = None) -> Rule:
    share = chance.uniform(0.05, most)
    return Sometimes(rule, share, Random(chance.random()), times=times)


def _position(chance: Random) -> int:
    """Return a byte of a body: near its beginning as often as far from it."""
    return int(_MOST_BYTES ** chance.random()) - 1
