"""Functional names as type checkers see them: the stub beside this file has the methods.

At run time torch finds every functional name, on every pipe. Its design leaves no way to tell type
checkers so for pipes of torch, as `IterableWrapper` or what ``shuffle()`` returns: there a name of
ours is ``Any``. On our own pipes the names are known.
"""

from __future__ import annotations

__all__ = ["FunctionalNames"]


class FunctionalNames:
    """Base of our pipes; what it has is in the stub, and at run time registered with torch."""
