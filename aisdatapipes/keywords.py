"""Keywords: options that a signature takes as a group, and hands on by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["known", "refuse_unknown"]


def known(keywords: Mapping[str, Any], group: type) -> dict[str, Any]:
    """Return the keywords that a ``TypedDict`` names.

    Example:
        >>> from typing import TypedDict
        >>> Size = TypedDict("Size", {"width": int})
        >>> known({"width": 3, "colour": "red"}, Size)
        {'width': 3}
    """
    return {name: value for name, value in keywords.items() if name in group.__annotations__}


def refuse_unknown(owner: str, keywords: Mapping[str, Any], group: type) -> None:
    """Raise for a keyword that a ``TypedDict`` does not name, as Python does for a signature.

    Raises:
        TypeError: There is one; the message names those that are known.
    """
    names = sorted(group.__annotations__)
    if unknown := [name for name in keywords if name not in names]:
        raise TypeError(
            f"{owner} got an unexpected keyword argument {unknown[0]!r}: it takes "
            f"{', '.join(names)}"
        )
