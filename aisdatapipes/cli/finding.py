"""Finding: how one thing is that a diagnosis looks at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "bad", "good", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: Which.
        is_good: Whether it is as it should be; None where that was not checked.
        text: How it is, or what to do, or why it was not checked; no secret.
    """

    topic: str
    is_good: bool | None
    text: str


def good(topic: str, text: str) -> Finding:
    """Return a finding of what is as it should be."""
    return Finding(topic, True, text)


def bad(topic: str, text: str) -> Finding:
    """Return a finding that says what to do."""
    return Finding(topic, False, text)


def unknown(topic: str, reason: str) -> Finding:
    """Return a finding of what was not looked at.

    Example:
        >>> unknown("GetBatch", "no bucket has an object").text
        'not checked, because no bucket has an object'
    """
    return Finding(topic, None, f"not checked, because {reason}")
