"""A proxy in front of a real cluster that breaks the connection by rule (`fault_rules`)."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from support.fault_rules import Ask, HangUp, Rule, Take

R = TypeVar("R", bound=Rule)

# Of one connection, so not passed on; the client and server here write their own.
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
# Of the event loop, until what it accepted as the doors closed is a connection: three are enough.
_TURNS = 10
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass
class Exchange:
    """What was asked for, and the status that it was answered with: 0 for none, or not yet."""

    method: str
    path: str
    status: int = 0


class FaultProxy:
    """A cluster as seen over a bad network.

    Passes everything on, from and to a port of its own for each node: redirects and the
    cluster map lead to these ports, so that no answer goes past it. It runs in a thread and
    ends with its block, also in the middle of an answer.

    Args:
        endpoint: Address of the cluster.

    Attributes:
        endpoint: Address of the proxy.
        rules: What goes wrong, applied in this order; change it at any time.
        requests: What was asked for until now, in order; but for how the cluster is.

    Example:
        .. code-block:: python

            with FaultProxy(cluster.endpoint) as proxy, proxy.rule(Cut(1000)) as cut:
                read_all(proxy.endpoint)
                assert proxy.hits(cut) == 1
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = ""
        self.rules: list[Rule] = []
        self.requests: list[Exchange] = []
        self._hits: Counter[Rule] = Counter()
        self._gateway = urlsplit(endpoint).netloc
        self._nodes: dict[int, str] = {}
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="fault-proxy")

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._started.result()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @contextmanager
    def rule(self, rule: R) -> Iterator[R]:
        """Apply `rule` inside the block."""
        self.rules.append(rule)
        try:
            yield rule
        finally:
            self.rules.remove(rule)

    def hits(self, rule: Rule) -> int:
        """Return how often `rule` has struck."""
        return self._hits[rule]

    def count(self, pattern: str) -> int:
        """Return how many requests there were whose ``METHOD path?query`` matches."""
        asked = [f"{exchange.method} {exchange.path}" for exchange in self.requests]
        return sum(bool(re.search(pattern, one)) for one in asked)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._client() as self._session, self._server() as self._runner:
            self._started.set_result(await self._port_of(self._gateway))
            await self._stop.wait()

    @staticmethod
    def _client() -> aiohttp.ClientSession:
        # A connection for each request: none is taken that a stopped node has left behind.
        return aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            skip_auto_headers=_NOT_ADDED,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[web.ServerRunner]:
        # A client that hangs up ends the handler, and with it the request to the cluster.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1)
        await runner.setup()
        try:
            yield runner
        finally:
            for site in list(runner.sites):
                await site.stop()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            while server.connections:
                for connection in server.connections:
                    _hang_up(connection.transport, is_reset=True)
                await asyncio.sleep(0.01)
            await runner.cleanup()

    async def _port_of(self, node: str) -> int:
        """Return the port that leads to the `node` at this ``host:port``."""
        for port, known in self._nodes.items():
            if known == node:
                return port
        listener = _new_listener()
        port = listener.getsockname()[1]
        self._nodes[port] = node
        await web.SockSite(self._runner, listener).start()
        return port

    async def _through_here(self, url: str) -> str:
        """Return `url`, which leads to a node, as one that leads there through this proxy."""
        port = await self._port_of(urlsplit(url).netloc)
        return urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        ask = Ask(request.method, request.raw_path, body).with_page_restored()
        exchange = Exchange(ask.method, ask.path)
        if not ask.is_about_cluster:
            self.requests.append(exchange)
        rules = [(rule, partial(self._take, rule)) for rule in self.rules if rule.is_for(ask)]
        try:
            for rule, take in rules:
                if answer := await rule.before(ask, take):
                    exchange.status = answer.status
                    return web.Response(**vars(answer))
            return await self._pass_on(request, ask, exchange, rules)
        except (HangUp, aiohttp.ClientError) as event:
            _hang_up(request.transport, is_reset=getattr(event, "is_reset", False))
            return web.Response()  # goes nowhere

    async def _pass_on(
        self,
        request: web.BaseRequest,
        ask: Ask,
        exchange: Exchange,
        rules: list[tuple[Rule, Take]],
    ) -> web.StreamResponse:
        uploads = (rule.upload(ask.body, take) for rule, take in rules)
        upload = next(filter(None, uploads), None)
        async with self._send(request, ask, upload) as answer:
            exchange.status = answer.status
            if "what=smap" in ask.path:
                return web.json_response(await self._map_through_here(await answer.json()))
            chunks = answer.content.iter_any()
            if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                for rule, take in rules:
                    await rule.after(take)
                    chunks = rule.body(chunks, take)
            response = web.StreamResponse(headers=await self._headers_of(answer))
            response.set_status(answer.status, answer.reason)
            await response.prepare(request)
            async for chunk in chunks:
                if chunk:  # an empty one would be the last
                    await response.write(chunk)
            return response

    def _send(
        self, request: web.BaseRequest, ask: Ask, upload: AsyncIterator[bytes] | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        assert request.transport is not None
        node = self._nodes[request.transport.get_extra_info("sockname")[1]]
        headers = _end_to_end(request.headers, "host", "content-length")
        if upload:
            headers["Content-Length"] = str(len(ask.body))
        url = URL(f"http://{node}{ask.path}", encoded=True)
        return self._session.request(
            ask.method, url, headers=headers, data=upload or ask.body or None, allow_redirects=False
        )

    async def _headers_of(self, answer: aiohttp.ClientResponse) -> CIMultiDict[str]:
        headers = _end_to_end(answer.headers)
        if "Location" in headers:
            headers["Location"] = await self._through_here(headers["Location"])
        return headers

    async def _map_through_here(self, smap: dict[str, Any]) -> dict[str, Any]:
        for node in [*smap["pmap"].values(), *smap["tmap"].values(), smap["proxy_si"]]:
            address = node["public_net"]
            address["direct_url"] = await self._through_here(address["direct_url"])
        return smap

    def _take(self, rule: Rule) -> bool:
        if rule.times is not None and self._hits[rule] >= rule.times:
            return False
        self._hits[rule] += 1
        return True


def _end_to_end(headers: CIMultiDictProxy[str], *left_out: str) -> CIMultiDict[str]:
    passed_on = CIMultiDict(headers)
    for name in (*_HOP_BY_HOP, *left_out):
        passed_on.popall(name, None)
    return passed_on


def _hang_up(transport: asyncio.Transport | None, *, is_reset: bool) -> None:
    if transport and is_reset:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport:  # else the client was faster
        transport.close()


def _new_listener() -> socket.socket:
    """Listen at a port that had no fault proxy before: what is known of a cluster is by address."""
    taken = [socket.create_server(("127.0.0.1", 0))]
    while taken[-1].getsockname()[1] in _PORTS:
        taken.append(socket.create_server(("127.0.0.1", 0)))
    for listener in taken[:-1]:
        listener.close()
    _PORTS.add(taken[-1].getsockname()[1])
    return taken[-1]


_PORTS: set[int] = set()
