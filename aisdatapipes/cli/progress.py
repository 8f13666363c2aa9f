"""Progress: a line on the terminal that tells how far copies are."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from fsspec.callbacks import Callback

from aisdatapipes.cli.output import human

__all__ = ["Progress"]

_EVERY_S = 0.1


class Progress(Callback):
    """Counts files and bytes, and shows them where standard error is a terminal.

    Args:
        total: Bytes of all files.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total, self._bytes = total, 0
        self._begin = self._shown = time.monotonic()
        self._lock = threading.Lock()
        self._is_shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def branched(self, *_: Any, **__: Any) -> Callback:
        """Return what is told of the bytes of one file."""
        return _Bytes(self)

    def add(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self._bytes += count
            now = time.monotonic()
            if not self._is_shown or now - self._shown < _EVERY_S:
                return
            self._shown = now
            rate = human(round(self._bytes / max(now - self._begin, _EVERY_S)))
            sys.stderr.write(
                f"\r{self.value:,} of {self.size or 0:,} files, {human(self._bytes)} of "
                f"{human(self._total)}, {rate}/s\x1b[K"
            )
            sys.stderr.flush()


class _Bytes(Callback):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def relative_update(self, inc: int = 1) -> None:
        self._progress.add(inc)
