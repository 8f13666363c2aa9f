"""A cluster that is busy when shards are counted, and lists whole buckets all the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from typing_extensions import override

from support.fault_rules import Ask, Status

__all__ = ["BusyCounting"]


@dataclass(frozen=True, eq=False)
class BusyCounting(Status):
    """Answers 503 to what asks for the members of a shard, or for a shard."""

    code: int = 503
    times: int | None = field(default=None, kw_only=True)
    matches: str = field(default="GET /v1/(buckets|objects)/", kw_only=True)

    @override
    def is_for(self, ask: Ask) -> bool:
        """A listing of a folder or of a whole bucket passes: what it asks for ends in a slash."""
        prefix = (ask.listing or {}).get("prefix", "shard")
        return super().is_for(ask) and bool(prefix) and not prefix.endswith("/")
