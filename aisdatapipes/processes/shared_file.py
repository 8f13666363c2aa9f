"""Shared files: how a process and those that it starts share bytes, with nothing to clean up.

The file has no name: it is removed as soon as it is made, and lives as long as some process has
it open. So no process has to remove it at its end, however that comes, and nobody who tidies
up the temporary folder can take it away.

- A forked child has it with everything else that its parent has open.
- A child that multiprocessing starts (spawn, forkserver) gets the open file with its arguments.
- Every other copy, by `copy` or `pickle`, is a file of its own with the content of that moment.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd

from aisdatapipes.processes.per_process import PerProcess

__all__ = ["SharedFile"]


class SharedFile:
    """Bytes that are shared with the processes that this one starts.

    Args:
        content: What it holds at first.

    Example:
        >>> file = SharedFile(b"hello")
        >>> with file.locked():
        ...     file.write(b"J", 0)
        >>> file.read()
        b'Jello'
    """

    def __init__(self, content: bytes = b"") -> None:
        with tempfile.TemporaryFile(buffering=0, prefix="aisdatapipes-") as file:
            self._use(os.dup(file.fileno()), uuid.uuid4().hex)
        self.write(content, 0)

    def _use(self, descriptor: int, identity: str) -> None:
        self._descriptor = descriptor
        self._identity = identity
        self._threads = PerProcess(threading.Lock)
        weakref.finalize(self, os.close, descriptor)

    @property
    def descriptor(self) -> int:
        """Number of the open file in this process; it is closed with this object."""
        return self._descriptor

    @property
    def size(self) -> int:
        """Its bytes at this moment."""
        return os.fstat(self._descriptor).st_size

    def read(self, size: int | None = None, offset: int = 0) -> bytes:
        """Return up to `size` bytes from `offset` on; all of them by default."""
        missing = max(self.size - offset, 0) if size is None else size
        parts = []
        while missing and (part := os.pread(self._descriptor, missing, offset)):
            parts.append(part)
            missing -= len(part)
            offset += len(part)
        return b"".join(parts)

    def write(self, data: bytes, offset: int) -> None:
        """Write over what is at `offset`, and beyond the end if there is more."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def replace(self, content: bytes) -> None:
        """Hold other bytes from now on; `locked` keeps the others from reading half of them."""
        os.ftruncate(self._descriptor, 0)
        self.write(content, 0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other threads and processes out of blocks like this one."""
        # A lock of the process, and not of the open file: a child that is forked meanwhile does
        # not hold it, and it ends with the process.
        with self._threads.get():
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def __reduce__(self) -> tuple:
        if get_spawning_popen() is None:
            return SharedFile, (self.read(),)
        return _attached, (self._identity, DupFd(self._descriptor))


# By this table the parts of a dataset that share a file share it in a spawned child too.
_here: PerProcess[weakref.WeakValueDictionary[str, SharedFile]] = PerProcess(
    weakref.WeakValueDictionary
)


def _attached(identity: str, handed_over: object) -> SharedFile:
    """Return the file that the parent of this process has, open here too."""
    known = _here.get()
    file = known.get(identity)
    if file is None:
        file = SharedFile.__new__(SharedFile)
        file._use(handed_over.detach(), identity)  # pyright: ignore[reportAttributeAccessIssue]
        known[identity] = file
    return file
