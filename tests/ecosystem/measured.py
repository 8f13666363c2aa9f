"""How much of an object a library reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from support.fault_rules import Rule, Take


@dataclass(frozen=True, eq=False)
class Measured(Rule):
    """Passes everything on, and measures the bodies of the answers."""

    sizes: list[int] = field(default_factory=list)

    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Pass it on."""
        async for chunk in chunks:
            self.sizes.append(len(chunk))
            yield chunk
