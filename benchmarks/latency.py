"""A cluster seen from far away: a proxy that adds a delay to every answer.

``python -m benchmarks.latency SECONDS URL...`` opens a port for each node, writes their
addresses as a line of JSON, in the order of the nodes, and ends with its standard input.

The delay is added to the first bytes that come back after a request; the next answer on the
same connection waits again. Addresses of nodes in those first bytes (redirects, the cluster
map) become those of the proxy, which are as long, so that nothing else changes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["main", "serve"]

_HOST = "127.0.0.1"
_PIECE_BYTES = 2**18
_ATTEMPTS = 100


async def serve(delay_s: float, nodes: list[str]) -> None:
    """Pass everything on until standard input ends.

    Args:
        delay_s: Seconds to wait with every answer.
        nodes: Addresses of the nodes, ``http://host:port``.
    """
    replacements: dict[bytes, bytes] = {}
    endpoints = []
    for node in nodes:
        host, _, port = urlsplit(node).netloc.partition(":")
        own = await _listen(_Passage(host, int(port), delay_s, replacements), len(port))
        replacements[f"{host}:{port}".encode()] = f"{_HOST}:{own}".encode()
        endpoints.append(f"http://{_HOST}:{own}")
    sys.stdout.write(json.dumps(endpoints) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _listen(passage: _Passage, digits: int) -> int:
    """Open a port of as many digits."""
    for _ in range(_ATTEMPTS):
        server = await asyncio.start_server(passage.take, _HOST, 0, limit=_PIECE_BYTES)
        port = server.sockets[0].getsockname()[1]
        if len(str(port)) == digits:
            return port
        server.close()
    raise OSError(f"the system gave no port of {digits} digits, {_ATTEMPTS} times")


@dataclass(frozen=True)
class _Passage:
    """The way to one node and back."""

    host: str
    port: int
    delay_s: float
    replacements: dict[bytes, bytes]

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        node_reader, node_writer = await asyncio.open_connection(
            self.host, self.port, limit=_PIECE_BYTES
        )
        is_asked = asyncio.Event()
        await asyncio.gather(
            _there(reader, node_writer, is_asked), self._back(node_reader, writer, is_asked)
        )

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_asked: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE_BYTES):
                if is_asked.is_set():
                    is_asked.clear()
                    await asyncio.sleep(self.delay_s)
                    piece = self._through_here(piece)
                writer.write(piece)
                await writer.drain()
        writer.close()

    def _through_here(self, piece: bytes) -> bytes:
        for node, own in self.replacements.items():
            piece = piece.replace(node, own)
        return piece


async def _there(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_asked: asyncio.Event
) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            is_asked.set()
            writer.write(piece)
            await writer.drain()
    writer.close()


def main() -> None:
    """Run the proxy."""
    asyncio.run(serve(float(sys.argv[1]), sys.argv[2:]))


if __name__ == "__main__":
    main()
