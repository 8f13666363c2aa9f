"""Seeking: where a file is to go."""

from __future__ import annotations

import io

__all__ = ["sought_position"]


def sought_position(offset: int, whence: int, position: int, size: int, name: str) -> int:
    """Return the position that ``seek(offset, whence)`` means.

    Args:
        offset: Bytes from where `whence` says.
        whence: One of `io.SEEK_SET`, `io.SEEK_CUR` and `io.SEEK_END`.
        position: Where the file is.
        size: Its bytes.
        name: What errors call it.

    Raises:
        ValueError: It would be before the beginning, or `whence` is none of the three.

    Example:
        >>> sought_position(-3, io.SEEK_END, 2, 10, "a.txt")
        7
    """
    bases = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}
    if whence not in bases:
        raise ValueError(
            f"cannot seek in {name} by whence {whence!r}: give io.SEEK_SET, io.SEEK_CUR or "
            "io.SEEK_END"
        )
    if (sought := bases[whence] + offset) < 0:
        raise ValueError(f"cannot seek to {sought}, before the beginning of {name}")
    return sought
