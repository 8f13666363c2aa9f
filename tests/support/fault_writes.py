"""What can go wrong with a request that changes something: more rules of a `FaultProxy`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from typing_extensions import override

from support.fault_rules import Answer, Ask, HangUp, Rule, Take


@dataclass(frozen=True, eq=False)
class LoseAnswer(Rule):
    """Hang up where the cluster has done what it was asked for."""

    @override
    async def after(self, take: Take) -> None:
        if take():
            raise HangUp(is_reset=True)


@dataclass(frozen=True, eq=False)
class LateAnswer(Rule):
    """Wait where the cluster has done what it was asked for."""

    seconds: float

    @override
    async def after(self, take: Take) -> None:
        if take():
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True, eq=False)
class CutUpload(Rule):
    """Pass on so many bytes of what is being written, and hang up on both sides."""

    after_bytes: int

    @override
    def upload(self, body: bytes, take: Take) -> AsyncIterator[bytes] | None:
        return self._cut(body) if len(body) > self.after_bytes and take() else None

    async def _cut(self, body: bytes) -> AsyncIterator[bytes]:
        yield body[: self.after_bytes]
        await asyncio.sleep(0.01)  # so that it is on the way
        raise HangUp(is_reset=True)


@dataclass(frozen=True, eq=False)
class ChangeUpload(Rule):
    """Flip a bit of what is being written, at this byte."""

    offset: int

    @override
    def upload(self, body: bytes, take: Take) -> AsyncIterator[bytes] | None:
        return self._changed(body) if len(body) > self.offset and take() else None

    async def _changed(self, body: bytes) -> AsyncIterator[bytes]:
        changed = bytearray(body)
        changed[self.offset] ^= 1
        yield bytes(changed)


@dataclass(frozen=True, eq=False)
class Meanwhile(Rule):
    """Do something else before the request is passed on, as somebody does who is faster."""

    action: Callable[[], object]

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        if take():
            await asyncio.to_thread(self.action)
