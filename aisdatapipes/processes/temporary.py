"""Temporary files, and what is said where there is no room for one."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["in_temporary_folder"]


@contextmanager
def in_temporary_folder() -> Iterator[None]:
    """Let an error of a temporary file name the folder, and what to do.

    Raises:
        OSError: The same with another text, where the block raises one.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # its text says it
        folder = tempfile.tempdir or "any folder for temporary files"
        raise OSError(
            error.errno,
            f"{error.strerror}: nothing can be written to {folder}: free some room "
            "there, or set TMPDIR to another folder",
        ) from None
