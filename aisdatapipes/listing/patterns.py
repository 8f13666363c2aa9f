"""Patterns: braces and globs that stand for many names.

Braces are expanded as in a shell and by webdataset: ``{0000..0099}``, ``{0..10..2}``, ``{a..e}``,
``{train,val}``, one in another too. What comes out are the members, and each of them is

* a glob, if it has ``*`` or ``?``, which stop at a slash, ``**``, which does not, or ``[a-f]``,
  ``[!a-f]``: whole names are compared with it;
* a folder, if it ends in a slash: everything in it;
* the name of an object, if at least one of the members is: then ``train-{0..9}.tar`` does not
  stand for ``train-1.tar.bak``;
* else a prefix.

Nothing here knows what a bucket has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from operator import itemgetter
from os.path import commonprefix
from string import ascii_lowercase, ascii_uppercase
from typing import TypeVar

from aisdatapipes.errors import InvalidURLError

__all__ = ["Pattern", "expand_braces"]

_T = TypeVar("_T")

_MOST_MEMBERS = 1_000_000
_LETTERS = ascii_uppercase + ascii_lowercase
_NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?")
_LETTER_RANGE = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.-?(\d+))?")
_GLOB_MARK = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?)|\[([!^])?(\][^\]]*|[^\]]+)\]")
_TWO_HYPHENS = re.compile(r"(?<!\\)--")
_SPECIAL_IN_SET = re.compile(r"([\\\[\]^&~|])")


class Pattern:
    """The members that a text stands for, and which names each of them means.

    Args:
        text: A prefix with braces or globs.

    Attributes:
        members: In order, each once.

    Raises:
        InvalidURLError: It has more than a million members, or a set like ``[z-a]``.

    Example:
        >>> pattern = Pattern("train-{0..2}.tar")
        >>> found, missing = pattern.select(["train-1.tar", "train-1.tar.bak"], str)
        >>> list(found), missing
        (['train-1.tar'], ['train-0.tar', 'train-2.tar'])
    """

    def __init__(self, text: str) -> None:
        expanded = list(islice(expand_braces(text), _MOST_MEMBERS + 1))
        if len(expanded) > _MOST_MEMBERS:
            raise InvalidURLError(
                f"{text!r} has more than {_MOST_MEMBERS:,} members: use a glob, as train-*.tar"
            )
        self.members = list(dict.fromkeys(expanded))
        self._plain = {one for one in self.members if not (_is_glob(one) or one.endswith("/"))}
        # By what the names begin with, so that a name is compared with few of many members.
        self._rests: dict[str, list[tuple[int, re.Pattern[str] | None]]] = {}
        for place, member in enumerate(self.members):
            literal, rest = _split(member)
            self._rests.setdefault(literal, []).append((place, rest))
        self._lengths = sorted({len(literal) for literal in self._rests})

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a text is a pattern, and not only a prefix."""
        return _is_glob(text) or next(expand_braces(text)) != text

    def prefixes(self) -> list[str]:
        """Return the prefixes that have to be listed: one for each folder, none in another."""
        literals = sorted(self._rests)
        by_folder = groupby(literals, lambda literal: literal[: literal.rfind("/") + 1])
        found: list[str] = []
        beginnings = {commonprefix(list(group)) for _, group in by_folder}  # noqa: RUF071 - letters
        for prefix in sorted(beginnings):
            if not (found and prefix.startswith(found[-1])):
                found.append(prefix)
        return found

    def select(
        self, items: Iterable[_T], name_of: Callable[[_T], str]
    ) -> tuple[Iterator[_T], list[str]]:
        """Return what is meant, in the order of the members, and those of several without any.

        Of a single glob, lazily; of several members, all is looked at first.

        Args:
            items: All that is under `prefixes`, in order.
            name_of: Returns the name of one.
        """
        if len(self.members) == 1 and not self._plain:
            return (one for one in items if self._place(name_of(one), are_names=False) == 0), []
        found = [one for one in items if self._place(name_of(one), are_names=False) is not None]
        are_names = any(name_of(one) in self._plain for one in found)
        places = [self._place(name_of(one), are_names=are_names) for one in found]
        pairs = (
            (place, one) for place, one in zip(places, found, strict=True) if place is not None
        )
        ordered = sorted(pairs, key=itemgetter(0))
        missing = set(range(len(self.members))).difference(places)
        return map(itemgetter(1), ordered), [self.members[place] for place in sorted(missing)]

    def _place(self, name: str, *, are_names: bool) -> int | None:
        """Return the number of the first member that means a name, None if none does."""
        found = None
        for length in self._lengths:
            for place, rest in self._rests.get(name[:length], ()):
                is_meant = rest.fullmatch(name) if rest else not are_names or len(name) == length
                if is_meant and (found is None or place < found):
                    found = place
        return found


def expand_braces(text: str) -> Iterator[str]:
    """Yield what braces stand for, in order; braces that stand for nothing stay as they are.

    Example:
        >>> list(expand_braces("{train-{08..10},val}.tar"))
        ['train-08.tar', 'train-09.tar', 'train-10.tar', 'val.tar']
    """
    for start, mark in enumerate(text):
        if mark != "{" or (end := _closing(text, start)) is None:
            continue
        if items := _items(text[start + 1 : end]):
            head, tail = text[:start], text[end + 1 :]
            yield from (f"{head}{item}{rest}" for item in items for rest in expand_braces(tail))
            return
    yield text


def _closing(text: str, start: int) -> int | None:
    """Return where the brace that opens at `start` closes; None if it does not."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place
    return None


def _items(inner: str) -> Iterable[str]:
    """Return what a brace stands for; nothing if it has neither a range nor a comma."""
    if match := _NUMBERS.fullmatch(inner):
        first, last, step = match.groups()
        is_padded = any(
            one.lstrip("-")[0] == "0" and one.lstrip("-") != "0" for one in (first, last)
        )
        width = max(len(first), len(last)) if is_padded else 0
        return (f"{number:0{width}}" for number in _range(int(first), int(last), step))
    if match := _LETTER_RANGE.fullmatch(inner):
        first, last, step = match.groups()
        return map(_LETTERS.__getitem__, _range(_LETTERS.index(first), _LETTERS.index(last), step))
    parts, depth = [""], 0
    for mark in inner:
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if mark == "," and not depth:
            parts.append("")
        else:
            parts[-1] += mark
    return chain.from_iterable(map(expand_braces, parts)) if len(parts) > 1 else ()


def _range(first: int, last: int, step: str | None) -> range:
    sign = 1 if first <= last else -1
    return range(first, last + sign, sign * (int(step or 1) or 1))


def _is_glob(text: str) -> bool:
    return _GLOB_MARK.search(text) is not None


def _split(member: str) -> tuple[str, re.Pattern[str] | None]:
    """Return what the names of a member begin with, and all of it as an expression, if any."""
    mark = _GLOB_MARK.search(member)
    if not mark and not member.endswith("/"):
        return member, None
    whole = member + "**" if member.endswith("/") else member
    parts, end = [], 0
    for found in _GLOB_MARK.finditer(whole):
        parts += [re.escape(whole[end : found.start()]), _expression(found)]
        end = found.end()
    try:
        expression = re.compile("".join([*parts, re.escape(whole[end:])]), re.DOTALL)
    except re.error as error:
        raise InvalidURLError(f"cannot read the glob {member!r}: {error}") from None
    return member[: mark.start()] if mark else member, expression


def _expression(mark: re.Match[str]) -> str:
    folders, anything, some, _, negated, letters = mark.groups()
    if folders:
        return "(?:.*/)?"
    if anything or some:
        return ".*" if anything else "[^/]*"
    if not letters:
        return "[^/]"
    escaped = _SPECIAL_IN_SET.sub(r"\\\1", letters)
    # Two hyphens may be a difference of sets one day, Python warns.
    escaped = _TWO_HYPHENS.sub(r"-\\-", re.sub("^-", r"\\-", escaped))
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
