"""Settings of the connection: plain numbers in one object that pickles into every worker."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

__all__ = ["Settings"]


@dataclass(frozen=True, repr=False)
class Settings:
    """How long to wait, how often to retry, and how much to hold in memory.

    The defaults report a cluster that is not there within a few seconds. A job that should
    outlast a restart of the cluster raises `max_retries` and `max_backoff_s`.

    Args:
        connect_timeout_s: Seconds to wait for a connection.
        read_timeout_s: Seconds to wait for the next bytes of an answer.
        max_retries: Retries after the first attempt, of refused, reset and timed-out requests
            and of the statuses 429 and 5xx. What is missing or forbidden is not retried.
        first_backoff_s: Upper bound in seconds of the first random pause; it doubles.
        max_backoff_s: Upper bound in seconds of every pause.
        retry_deadline_s: Seconds after which a read that fails is not retried any more.
        whole_object_bytes: Objects up to this size are read into memory at once; larger ones
            are streamed.
        read_ahead_bytes: Bytes that a streamed object reads at a time, and asks for first
            after a jump to another position.
        page_size: Names on a page of a listing; 0 for as many as the bucket's backend gives.

    Raises:
        ValueError: A number is negative, or a time-out or `read_ahead_bytes` is zero.

    Example:
        >>> Settings(read_timeout_s=60)
        Settings(read_timeout_s=60)
    """

    connect_timeout_s: float = 2.0
    read_timeout_s: float = 20.0
    max_retries: int = 2
    first_backoff_s: float = 0.25
    max_backoff_s: float = 4.0
    retry_deadline_s: float = 60.0
    whole_object_bytes: int = 8 * 2**20
    read_ahead_bytes: int = 256 * 2**10
    page_size: int = 0

    def __post_init__(self) -> None:
        needed = {"connect_timeout_s", "read_timeout_s", "read_ahead_bytes"}
        for field in fields(self):
            number = getattr(self, field.name)
            if number < 0 or (number == 0 and field.name in needed):
                raise ValueError(f"Settings: {field.name} is {number!r}, it must be positive")

    def backoff_s(self, attempt: int) -> float:
        """Return a random pause in seconds before the given retry, counted from 1."""
        longest = min(self.max_backoff_s, self.first_backoff_s * 2 ** (attempt - 1))
        return random.uniform(0, longest)  # noqa: S311 - no secret depends on it

    def __repr__(self) -> str:
        # Only what differs from the defaults: torch shows it with every error of a pipe.
        changed = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"Settings({', '.join(changed)})"
