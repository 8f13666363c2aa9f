"""The check of what a pipe is given to read from."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["check_source"]


def check_source(source: Iterable[str]) -> Iterable[str]:
    """Return `source` if it is an iterable of URLs.

    Raises:
        TypeError: It is a single string, whose characters would be taken for URLs, or no
            iterable at all.

    Example:
        >>> check_source(["ais://imagenet/"])
        ['ais://imagenet/']
    """
    if isinstance(source, (str, bytes)):
        raise TypeError(f"a list of URLs is needed, not one: write [{source!r}]")
    if not isinstance(source, Iterable):
        raise TypeError(f"a pipe or list of URLs is needed, not a {type(source).__name__}")
    return source
