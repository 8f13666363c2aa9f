"""Loader: URLs of objects in, objects out.

It takes URLs from its source ahead of what it yields, so the state of the source is never that
of the last object. Every few URLs it keeps the state of the source, until all URLs before it are
read. Its own state is the latest that is not ahead, and how many URLs were read since. To resume,
the source goes back there, and so many URLs are passed over, which reads no object.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from torchdata.nodes import BaseNode  # pyright: ignore[reportMissingImports]

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import StateMismatchError
from aisdatapipes.etl import ETLCall
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, ReadKeywords, ReadOptions
from aisdatapipes.types import ETLConfig

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISLoader"]

_SNAPSHOT_EVERY = 32


class AISLoader(BaseNode):
    """Objects as ``(url, content)``, read ahead, in the order of their URLs.

    Args:
        source: Node of the URLs of objects, such as `AISLister`, or any other that yields them in
            the same order again when it is reset to a state.
        url: Address of the cluster, ``http://host:port``; default ``$AIS_ENDPOINT``.
        etl_name: ETL that the cluster applies to every object; it must be running there.
        etl: The SDK's ``ETLConfig`` in its place.
        settings: Time-outs, retries and the memory for each object.
        read: ``on_error`` and ``max_errors``, and the fields of `ReadOptions` or
            ``read=ReadOptions(...)``, as `AISIterDataset` has them.

    Raises:
        ValueError: At construction: an option is out of its range, or ``ordered=False``.
        EndpointError: At construction: no endpoint, or none of an HTTP server.
        ObjectNotFoundError: While reading: there is no such object.
        StateMismatchError: In `reset`: the source has fewer URLs than were read.

    Example:
        >>> from torchdata.nodes import Loader
        >>> from aisdatapipes.nodes import AISLister
        >>> for url, content in Loader(AISLoader(AISLister("ais://caltech256/003."))):
        ...     print(url, len(content))
        ais://caltech256/003.backpack/003_0001.jpg 35
        ais://caltech256/003.backpack/003_0002.jpg 35
    """

    def __init__(
        self,
        source: BaseNode,
        url: str | None = None,
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        settings: Settings | None = None,
        **read: Unpack[ReadKeywords],
    ) -> None:
        super().__init__()
        refuse_unknown(type(self).__name__, read, ReadKeywords)
        options = ReadOptions.of(read)
        if not options.ordered:
            raise ValueError("ordered is False, but a state is of the order: leave it out")
        self.source = source
        self._reader = ObjectReader(
            resolve_endpoint(url),
            ETLCall.of(etl_name, etl),
            options=options,
            policy=ErrorPolicy.of(read),
            settings=settings,
        )
        self._objects = self._contents()

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        """Begin again, or resume where a state says."""
        super().reset(initial_state)
        self._objects.close()
        self.source.reset(initial_state and initial_state["source"])
        passed = initial_state["consumed"] if initial_state else 0
        self._state, self._state_at = self.source.state_dict(), 0
        self._ahead: deque[tuple[int, dict[str, Any]]] = deque()
        self._consumed = sum(1 for _ in islice(self.source, passed))
        if self._consumed < passed:
            raise StateMismatchError(
                f"the state says that {passed} URLs were read where the source has "
                f"{self._consumed}: make it of what the run had, or start without the state"
            )
        self._objects = self._contents()

    def next(self) -> tuple[str, bytes]:
        """Return the next object."""
        return next(self._objects)

    def get_state(self) -> dict[str, Any]:
        """Return where it stands: a state of the source, and how many URLs behind it are read."""
        return {"source": self._state, "consumed": self._consumed - self._state_at}

    def counters(self) -> Counters:
        """Return what was done until now."""
        return self._reader.counters.total()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now."""
        return self._reader.counters.skipped_urls()

    def _contents(self) -> Generator[tuple[str, bytes], None, None]:
        with closing(self._reader.read_all(self._urls(), str)) as objects:
            for url, content in objects:
                self._consume()
                if content is not None:
                    yield url, content

    def _urls(self) -> Iterator[str]:
        for given, url in enumerate(self.source, self._consumed + 1):
            if given % _SNAPSHOT_EVERY == 0:
                self._ahead.append((given, self.source.state_dict()))
            yield url

    def _consume(self) -> None:
        self._consumed += 1
        while self._ahead and self._ahead[0][0] <= self._consumed:
            self._state_at, self._state = self._ahead.popleft()
