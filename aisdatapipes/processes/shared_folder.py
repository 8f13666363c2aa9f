"""Temporary folders that go with what they belong to."""

from __future__ import annotations

import shutil
from multiprocessing.util import Finalize

__all__ = ["remove_with"]


def remove_with(owner: object, folder: str) -> None:
    """Remove a folder when an object is gone, or at the end of this process.

    Copies of the object in other processes leave it alone.
    """
    # Not weakref.finalize, which forked multiprocessing children never come to. It does nothing
    # in any process but this one.
    Finalize(owner, shutil.rmtree, (folder, True), exitpriority=0)
