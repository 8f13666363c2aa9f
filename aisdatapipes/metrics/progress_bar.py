"""Bars: what passes, counted on the terminal with objects and megabytes per second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

__all__ = ["with_bar"]

_T = TypeVar("_T")


def with_bar(
    items: Iterable[_T],
    bytes_in: Callable[[_T], int],
    description: str = "",
    total: int | None = None,
    worker: int | None = None,
) -> Iterator[_T]:
    """Hand items on and show a tqdm bar for them; each DataLoader worker has a bar of its own.

    Args:
        items: What to count.
        bytes_in: How many bytes one of them is.
        description: Text in front of the bar.
        total: How many there will be; None if unknown.
        worker: Number of the DataLoader worker that shows it, from 0; None outside of workers.

    Raises:
        ModuleNotFoundError: While iterating: tqdm is not installed.
    """
    label = "" if worker is None else f"worker {worker} "
    with _tqdm()(
        desc=f"{label}{description}".strip(),
        total=total,
        unit=" objects",
        position=worker or 0,
        disable=None,  # without a terminal
    ) as bar:
        megabytes = 0.0
        for item in items:
            megabytes += bytes_in(item) / 1e6
            bar.update()
            elapsed_s = bar.format_dict["elapsed"] if not bar.disable else 0
            if elapsed_s:
                bar.set_postfix_str(f"{megabytes / elapsed_s:.1f} MB/s", refresh=False)
            yield item


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a progress bar needs tqdm: pip install 'aisdatapipes[progress]'"
        ) from None
    return tqdm
