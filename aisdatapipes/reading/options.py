"""Options of the reading engine: how far it reads ahead, what it does with errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from io import BytesIO
from typing import IO, Any, Literal, TypedDict

from aisdatapipes.errors import (
    CLUSTER_WIDE,
    AISPipeError,
    TargetUnreachableError,
    TooManyErrorsError,
)
from aisdatapipes.metrics.counters import ProcessCounters

__all__ = [
    "ErrorHandler",
    "ErrorPolicy",
    "OnError",
    "ReadAheadKeywords",
    "ReadKeywords",
    "ReadOptions",
]

_logger = logging.getLogger(__name__)

OnError = Literal["raise", "skip"] | Callable[[str, AISPipeError], bytes | None]
"""``"raise"``, ``"skip"``, or what to call with URL and error: it returns content, or None to
skip. It has to pickle if worker processes are spawned."""


@dataclass(frozen=True)
class ErrorPolicy:
    """How a pipe takes the errors of single objects.

    Args:
        on_error: See `OnError`. A cluster that cannot be reached, or that refuses the token,
            raises in any case. What an outage hides comes here when that has lasted for
            ``outage_deadline_s``.
        max_errors: How many objects each iteration of a process may skip; None for any number.

    Raises:
        ValueError: `on_error` is another string, or `max_errors` is negative.
    """

    on_error: OnError = "raise"
    max_errors: int | None = None

    def __post_init__(self) -> None:
        if not callable(self.on_error) and self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {self.on_error!r}: give 'raise', 'skip' or a function")
        if self.max_errors is not None and self.max_errors < 0:
            raise ValueError(f"max_errors is {self.max_errors}, it must be 0 or more")

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> ErrorPolicy:
        """Return what `ReadKeywords` say."""
        return cls(keywords.get("on_error", "raise"), keywords.get("max_errors"))

    def replacement(self, url: str, error: AISPipeError) -> bytes | None:
        """Return content in place of an object that failed, or None if there is none.

        Raises:
            AISPipeError: `error` itself, where it is not to be skipped.
        """
        is_about_all = isinstance(error, CLUSTER_WIDE)
        if self.on_error == "raise" or (
            is_about_all and not isinstance(error, TargetUnreachableError)
        ):
            raise error
        return None if self.on_error == "skip" else self.on_error(url, error)


class ErrorHandler:
    """An error policy at work in one iteration: decides on every failure, and counts.

    Args:
        policy: What to do with errors.
        counters: Where the skipped are counted.
    """

    def __init__(self, policy: ErrorPolicy, counters: ProcessCounters) -> None:
        self._policy = policy
        self._counters = counters
        self._skipped = 0

    def content_for(self, url: str, error: AISPipeError) -> bytes | None:
        """Return content in place of an object that failed, or None if it is skipped.

        Args:
            url: Of the object.
            error: Why it cannot be read.

        Raises:
            AISPipeError: `error` itself, where it is not to be skipped.
            TooManyErrorsError: One more than ``max_errors``.
        """
        content = self._policy.replacement(url, error)
        if content is None:
            self._skip(url, error)
        return content

    def file_for(self, url: str, error: AISPipeError) -> IO[bytes] | None:
        """Return the same as an open file, counted as an object, for one that did not open."""
        content = self.content_for(url, error)
        if content is None:
            return None
        self._counters.add_object(len(content), 0, 0)
        return BytesIO(content)

    def _skip(self, url: str, error: AISPipeError) -> None:
        self._counters.skip(url)
        self._skipped += 1
        _logger.warning("skipped %s: %s", url, error)
        most = self._policy.max_errors
        if most is not None and self._skipped > most:
            raise TooManyErrorsError(
                f"{self._skipped} objects failed and max_errors is {most}; the last one: {error}"
            )


@dataclass(frozen=True)
class ReadOptions:
    """How objects are read ahead.

    Args:
        max_inflight_bytes: Upper bound of the bytes that are requested and not consumed yet, as
            far as the sizes that came by tell.
        max_batch: Most objects in one GetBatch request; 1 reads every object by its own GET.
        concurrency: Most GETs at a time, where GetBatch does not apply.
        ordered: Yield in the order of the items; otherwise as objects arrive.
        verify: ``"checksum"`` compares every object with the cluster's checksum. It costs the
            batches: every object is its own GET.
        colocation: Whether the objects of one request lie on few targets, which then serve it with
            less traffic between them: 1 for yes, the SDK's ``Colocation.TARGET_AWARE``; 0 for no.
        whole_object_bytes: Objects up to this size are held in memory, larger ones are streamed.
            Pipes and datasets take it from their `Settings`.

    Raises:
        ValueError: A number is less than 1, or `verify` is another word.
        NotImplementedError: `colocation` is 2, which AIStore does not have yet.
    """

    max_inflight_bytes: int = 64 * 2**20
    max_batch: int = 1024
    concurrency: int = 8
    ordered: bool = True
    verify: Literal["checksum"] | None = None
    colocation: int = 0
    whole_object_bytes: int = 8 * 2**20

    def __post_init__(self) -> None:
        for name in ("max_inflight_bytes", "max_batch", "concurrency"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}, it must be 1 or more")
        if self.verify not in (None, "checksum"):
            raise ValueError(f"verify is {self.verify!r}: give 'checksum' or None")
        if self.colocation not in (0, 1, 2):
            raise ValueError(f"colocation is {self.colocation!r}: give a Colocation of the SDK")
        if self.colocation == 2:
            raise NotImplementedError(
                "colocation is TARGET_AND_SHARD_AWARE, which AIStore does not have yet: give "
                "Colocation.TARGET_AWARE"
            )

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> ReadOptions:
        """Return what `ReadKeywords` say; single ones go before ``read``."""
        names = {field.name for field in fields(cls)}
        single = {name: value for name, value in keywords.items() if name in names}
        return replace(keywords.get("read") or cls(), **single)


class ReadAheadKeywords(TypedDict, total=False):
    """Fields of `ReadOptions`, one by one or together, and those of `ErrorPolicy`."""

    on_error: OnError
    max_errors: int | None
    verify: Literal["checksum"] | None
    max_inflight_bytes: int
    max_batch: int
    concurrency: int
    read: ReadOptions


class ReadKeywords(ReadAheadKeywords, total=False):
    """The same, and the hint for GetBatch."""

    colocation: int
