"""Unfinished files: they have their name once they are whole, and another one until then.

The other name is made of the first one, so that what a killed process has left is what the next
one goes on with, and needs no search. Whoever writes there holds a lock, which ends with its
process; a second writer of the same file meanwhile has a name of its own.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO
from uuid import uuid4

__all__ = ["unfinished_file"]

_NAME_CHARS = 50  # of up to 4 bytes each; a name has 255 bytes at most


@contextmanager
def unfinished_file(path: Path, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Write a file that replaces what is there at the end of the block; not after an error.

    Args:
        path: Where to; the folder is there.
        mode: Who may do what with it, less what the process's umask takes away.

    Raises:
        OSError: It cannot be written; what was there before is there still.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "notes.txt")
        >>> with unfinished_file(path) as file:
        ...     file.write(b"all of it")
        ...     path.exists()
        9
        False
        >>> path.read_bytes()
        b'all of it'
    """
    mark = blake2b(os.fsencode(path.name), digest_size=4).hexdigest()
    usual = _beside(path, mark)
    file = _locked(usual, mode)
    temporary = usual if file else _beside(path, uuid4().hex[:8])
    # All with the lock: without it the next writer may have the name already.
    with file or _opened(temporary, os.O_EXCL, mode) as written:
        try:
            yield written
            written.flush()
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _beside(path: Path, mark: str) -> Path:
    # On the same disk, as a file cannot be given a name elsewhere.
    return path.with_name(f".{path.name[:_NAME_CHARS]}.{mark}.part")


def _locked(path: Path, mode: int) -> IO[bytes] | None:
    """Open an empty file that nobody else writes; None if somebody does, or it is not ours."""
    try:
        file = _opened(path, os.O_NOFOLLOW, mode)
    except OSError:
        return None  # where it is for another reason, the other name tells
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found, here = os.fstat(file.fileno()), path.lstat()
        is_own = found.st_uid == os.geteuid() and found.st_nlink == 1
        if stat.S_ISREG(found.st_mode) and is_own and os.path.samestat(found, here):
            file.truncate()
            return file
    except OSError:  # locked, or just renamed, or there are no locks on this disk
        pass
    file.close()
    return None


def _opened(path: Path, flags: int, mode: int) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, mode), "w+b")
