"""DataLoaders that fail: what keeps their workers has to go at once."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

_E = TypeVar("_E", bound=Exception)


@contextmanager
def raises_in_loader(kind: type[_E], match: str) -> Iterator[pytest.ExceptionInfo[_E]]:
    """Expect an error of a DataLoader, as `pytest.raises` does, and end the workers."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    end_workers(caught.value)


def end_workers(error: Exception) -> None:
    """End the workers of the DataLoader that has raised this error.

    Torch's frames hold its iterator, and the error holds them, in a circle. When the garbage
    collector finds it, the queues to the workers are closed before torch can tell them to end, and
    torch waits five seconds for each.
    """
    traceback.clear_frames(error.__traceback__)
