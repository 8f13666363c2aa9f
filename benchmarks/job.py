"""What a reader is asked to do, and what it says of having done it: plain data between processes.

Standard library only: the process with the SDK of the past imports it as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Job", "ReaderFunction", "Run"]


@dataclass(frozen=True)
class Job:
    """What there is to read.

    Attributes:
        endpoint: Address of the cluster.
        bucket: Where it is.
        names: Of the objects; empty where only their listing is measured.
        prefix: What all names begin with.
        items: What is counted: objects, samples or names.
        size: Sum of what a reader yields that has read everything.
        folder: Local copies of the objects, if there are any.
        options: The reader's own.
    """

    endpoint: str
    bucket: str
    items: int
    size: int
    names: list[str] = field(default_factory=list)
    prefix: str = ""
    folder: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def prefix_url(self) -> str:
        """The prefix, as listers take it."""
        return f"ais://{self.bucket}/{self.prefix}"

    def object_url(self, name: str) -> str:
        """Return the HTTP address of an object at the proxy, which redirects to the target."""
        return f"{self.endpoint}/v1/objects/{self.bucket}/{name}?provider=ais"

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Run:
    """One reading.

    Attributes:
        seconds: From the call of the reader to its last item.
        first_item_s: From the call to the first item.
        count: Items that it yielded.
        size: Their sum.
        peak_bytes: Most resident memory, above that of the idle process.
    """

    seconds: float
    first_item_s: float
    count: int
    size: int
    peak_bytes: int


ReaderFunction = Callable[[Job], Iterator[int]]
"""Reads all there is and yields the bytes of each item as it comes; of a name it yields 1."""
