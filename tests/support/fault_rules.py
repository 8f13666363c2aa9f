"""What can go wrong between a client and a cluster: the rules of a `FaultProxy`.

A rule is plain data, so that tables of tests can share it; the proxy counts how often it struck.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import msgpack
from typing_extensions import override

Take = Callable[[], bool]
"""Asks to strike now: counts it and answers True, or False when `Rule.times` is used up."""

_LISTINGS = "GET /v1/buckets/"
_LEFT_OUT = "left-out:"


@dataclass(frozen=True)
class Ask:
    """A request: its method, its path with the query as on the wire, and its body."""

    method: str
    path: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_about_cluster(self) -> bool:
        """Whether it asks for the cluster's map, or how a node is."""
        return self.path.startswith(("/v1/daemon", "/v1/health"))

    @property
    def listing(self) -> dict[str, Any] | None:
        """What a request for a page of a bucket asks for; None for any other request."""
        if not str(self).startswith(_LISTINGS) or not self.body:
            return None
        action = json.loads(self.body)
        return action["value"] if action["action"] == "list" else None

    def with_page_restored(self) -> Ask:
        """Return the request for the page that `EmptyPage` left out, if its token came back."""
        token = (self.listing or {}).get("continuation_token", "")
        if not token.startswith(_LEFT_OUT):
            return self
        return Ask(self.method, self.path, token.removeprefix(_LEFT_OUT).encode())


@dataclass(frozen=True)
class Answer:
    """A whole answer in place of the cluster's."""

    status: int
    body: bytes
    content_type: str


class HangUp(Exception):  # noqa: N818 - an event, which the proxy catches
    """Close the connection now, in order or by a reset."""

    def __init__(self, *, is_reset: bool) -> None:
        super().__init__(is_reset)
        self.is_reset = is_reset


@dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    """Leaves everything as it is; the base of what does not.

    Args:
        times: How often it strikes, None for always.
        matches: Regular expression that is found in ``METHOD path?query``, as on the wire, of
            the requests it is for. What a redirect led to a target has ``pid=`` in the query.
        holds: What the body of these requests has somewhere.
    """

    times: int | None = 1
    matches: str = ""
    holds: bytes = b""

    def is_for(self, ask: Ask) -> bool:
        """Whether the rule may strike at this request.

        At what a client asks to know how the cluster is, only a rule that names it.
        """
        if ask.is_about_cluster and not re.search("daemon|health", self.matches):
            return False
        return self.holds in ask.body and re.search(self.matches, str(ask)) is not None

    async def before(self, ask: Ask, take: Take) -> Answer | None:  # noqa: ARG002
        """Act before the request is passed on; return an answer to be sent instead."""
        return None

    def upload(self, body: bytes, take: Take) -> AsyncIterator[bytes] | None:  # noqa: ARG002
        """Return what to pass on in place of the body of the request, with the same length."""
        return None

    async def after(self, take: Take) -> None:
        """Act when the cluster has answered that it is done, and nobody has heard of it yet."""

    def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Return what to send in place of the body of the cluster's answer."""
        return chunks


@dataclass(frozen=True, eq=False)
class Status(Rule):
    """Answer with an error of the cluster, and ask the cluster nothing."""

    code: int

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        if not take():
            return None
        error = {"status": self.code, "message": "made by a rule", "method": ask.method}
        return Answer(self.code, json.dumps(error).encode(), "application/json")


@dataclass(frozen=True, eq=False)
class EmptyPage(Rule):
    """Answer a listing with a page of no names; its token leads to the page that was left out."""

    matches: str = field(default=_LISTINGS, kw_only=True)

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        listing = ask.listing
        if listing is None or not take():
            return None
        page = {
            "UUID": listing.get("uuid", ""),
            "ContinuationToken": _LEFT_OUT + ask.body.decode(),
            "Flags": 0,
            "Entries": [],
        }
        return Answer(200, msgpack.encode(page), "application/msgpack")


@dataclass(frozen=True, eq=False)
class _Interruption(Rule):
    """Acts when so many bytes of the body have passed, never in a shorter body.

    Args:
        after_bytes: How many; None for before the request is passed on.
    """

    after_bytes: int | None = None

    async def _act(self) -> None:
        raise NotImplementedError

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        if self.after_bytes is None and take():
            await self._act()

    @override
    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        left = self.after_bytes
        async for chunk in chunks:
            rest = chunk
            if left is not None and len(chunk) >= left:
                yield chunk[:left]
                rest, left = chunk[left:], None
                if take():
                    await self._act()
            elif left is not None:
                left -= len(chunk)
            yield rest


@dataclass(frozen=True, eq=False)
class Cut(_Interruption):
    """Close the connection: fewer bytes than announced, no last chunk, or no answer at all."""

    async def _act(self) -> None:
        raise HangUp(is_reset=False)


@dataclass(frozen=True, eq=False)
class Refuse(Cut):
    """Close the connection without an answer."""

    after_bytes: int | None = field(default=None, init=False)


@dataclass(frozen=True, eq=False)
class Reset(_Interruption):
    """Reset the connection (TCP RST)."""

    async def _act(self) -> None:
        raise HangUp(is_reset=True)


@dataclass(frozen=True, eq=False)
class Stall(_Interruption):
    """Send nothing for some time, then go on."""

    seconds: float = 0.0

    async def _act(self) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, eq=False)
class Latency(Stall):
    """Wait before the request is passed on."""

    after_bytes: int | None = field(default=None, init=False)
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Drip(Rule):
    """Send the body a few bytes at a time.

    Args:
        drop_bytes: How many.
        seconds: The pause before each of them.
    """

    drop_bytes: int
    seconds: float

    @override
    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        drips = take()
        async for chunk in chunks:
            for at in range(0, len(chunk), self.drop_bytes) if drips else ():
                await asyncio.sleep(self.seconds)
                yield chunk[at : at + self.drop_bytes]
            if not drips:
                yield chunk


@dataclass(frozen=True, eq=False)
class Meanwhile(_Interruption):
    """Let something else happen, and wait a moment for it, not for its end.

    Args:
        action: What happens, in a thread; the end of the proxy waits for it.
    """

    action: Callable[[], object] = field(kw_only=True)

    async def _act(self) -> None:
        happens = asyncio.get_running_loop().run_in_executor(None, self.action)
        await asyncio.wait([happens], timeout=0.05)


@dataclass(frozen=True, eq=False)
class BeforeNext(Rule):
    """Let something else happen before the second of these requests, and wait for its end.

    Args:
        action: What happens, in a thread.
    """

    action: Callable[[], object] = field(kw_only=True)
    times: int | None = field(default=2, kw_only=True)
    _seen: list[Ask] = field(default_factory=list, init=False)

    @override
    async def before(self, ask: Ask, take: Take) -> Answer | None:
        if take() and self._seen:
            await asyncio.to_thread(self.action)
        self._seen.append(ask)
