"""What can go wrong in the demo itself; each class takes one ready-made message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aisdatapipes.errors import AISPipeError

__all__ = ["AccuracyError", "DemoError", "MissingExtraError", "one_line_errors"]


class DemoError(RuntimeError):
    """The demo cannot run, or does not show what it claims."""


class MissingExtraError(DemoError):
    """A library of the demo is not installed."""


class AccuracyError(DemoError):
    """Training on what the pipes read did not reach the accuracy that the demo promises."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Give an error of the pipes back the one line that it was raised with.

    torch puts a worker's traceback before it, and behind it the pipe that was iterated.

    Raises:
        AISPipeError: Of the same class, with that line alone, from the one with all of it.
    """
    try:
        yield
    except AISPipeError as error:
        kind = type(error)
        _, _, message = str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")
        raise kind(message.partition("\n")[0]) from error
