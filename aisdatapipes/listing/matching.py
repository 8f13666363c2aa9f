"""Matching: what a prefix means where it may be a pattern, and what is said if that is nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from aisdatapipes.errors import NoObjectsError, NoObjectsWarning
from aisdatapipes.listing.patterns import Pattern

__all__ = ["matching"]

_T = TypeVar("_T")

_MOST_NAMED = 5


def matching(
    prefix: str,
    list_under: Callable[[str], Iterator[_T]],
    name_of: Callable[[_T], str],
    url: str,
    *,
    allow_empty: bool | None,
) -> Iterator[_T]:
    """Yield what a prefix means: what begins with it, or, if nothing does, what it is a pattern of.

    So a prefix of names that have ``{``, ``*``, ``?`` or ``[`` in them always means those.

    Args:
        prefix: A prefix or pattern.
        list_under: Yields, lazily and in order, what is under a prefix.
        name_of: Returns the name of one of these.
        url: What to call the prefix in messages.
        allow_empty: Whether a prefix, or a member of a pattern, may mean nothing: None warns.

    Raises:
        NoObjectsError: It may not, and does.
    """
    entries = list_under(prefix)
    first = next(entries, None)
    if first is not None:
        yield first
        yield from entries
        return
    missing: list[str] = []
    if Pattern.is_one(prefix):
        pattern = Pattern(prefix)
        under = chain.from_iterable(map(list_under, pattern.prefixes()))
        entries, missing = pattern.select(under, name_of)
        first = next(entries, None)
    if first is None:
        _say(f"no objects in {url}", allow_empty)
    elif missing:
        names = ", ".join([*missing[:_MOST_NAMED], *(["…"] if len(missing) > _MOST_NAMED else [])])
        _say(f"no object for {len(missing)} of the names in {url}: {names}", allow_empty)
    if first is not None:
        yield first
    yield from entries


def _say(message: str, allow_empty: bool | None) -> None:
    if allow_empty is None:
        warnings.warn(
            f"{message}; list the bucket for the names it has, or pass allow_empty=True",
            NoObjectsWarning,
            stacklevel=2,
        )
    elif not allow_empty:
        raise NoObjectsError(f"{message}; list the bucket for the names it has")
