"""Shared once: what one process works out, and those that have a copy of it just read."""

from __future__ import annotations

import sys
from collections.abc import Callable

from aisdatapipes.distributed.rank_sharing import share_between_ranks
from aisdatapipes.processes.shared_file import SharedFile

__all__ = ["SharedOnce"]

_HEAD_BYTES = 8


class SharedOnce:
    """Bytes that are made when somebody first wants them, once for a dataset and its workers.

    Processes that multiprocessing starts share them, in whatever way it does. Any other copy
    has them if they were made before it, and else makes them again. Of several ranks with a
    process group, one makes them for all.

    Args:
        key: What it is, the same text in all ranks.

    Example:
        >>> once = SharedOnce("greeting")
        >>> once.get(lambda: b"hello"), once.get(lambda: b"good bye")
        (b'hello', b'hello')
    """

    def __init__(self, key: str) -> None:
        self._key = key
        # How many bytes, and one more; 0 until they are all there. Then the bytes.
        self._file = SharedFile(bytes(_HEAD_BYTES))

    def get(self, build: Callable[[], bytes]) -> bytes:
        """Return what `build` returned in the process that came first; others wait for it.

        Args:
            build: Makes it; what it raises is raised here, and the next one tries again.
        """
        with self._file.locked():
            made = self._made()
            if made is None:
                made = share_between_ranks(self._key, build)
                self._file.write(made, _HEAD_BYTES)
                self._file.write((len(made) + 1).to_bytes(_HEAD_BYTES, sys.byteorder), 0)
            return made

    def _made(self) -> bytes | None:
        size = int.from_bytes(self._file.read(_HEAD_BYTES), sys.byteorder) - 1
        made = self._file.read(max(size, 0), _HEAD_BYTES)
        # A copy that was taken in the moment between may lack some.
        return made if len(made) == size else None
