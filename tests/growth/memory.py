"""How much memory a process has for itself."""

from __future__ import annotations

import gc
import re
from pathlib import Path

__all__ = ["private_mib"]

_PRIVATE = re.compile(r"Private_\w+: +(\d+) kB")


def private_mib() -> float:
    """Return it in MiB; what is shared with other processes, or mapped of files, is not in it."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text()
    return sum(map(int, _PRIVATE.findall(lines))) / 1024
