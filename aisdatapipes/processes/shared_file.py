"""Shared files: how a process and those that it starts share bytes, with nothing to clean up.

The file has no name: it is removed as soon as it is made, and lives as long as some process has
it open. So no process has to remove it at its end, however that comes, and nobody who tidies
up the temporary folder can take it away.

- A forked child has it with everything else that its parent has open.
- A child that multiprocessing starts (spawn, forkserver) gets the open file with its arguments.
- Every other copy, by `copy` or `pickle`, is a file of its own with the content of that moment.

Locks and claims are record locks of the system: they belong to a process, so that a forked child
does not hold them, and end with it. They also end when the process closes the file by any of its
descriptors. Therefore each process has one object for a file, whose descriptor and memory map
are closed together, with the object.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd

from aisdatapipes.processes.per_process import PerProcess
from aisdatapipes.processes.temporary import in_temporary_folder

__all__ = ["SharedFile", "is_child_being_started"]

# What the bytes that are locked contain does not matter, nor whether they are there.
_LOCKED_BYTE = 0
_FIRST_CLAIM = 1
_RETRY_S = 0.01


class SharedFile:
    """Bytes that are shared with the processes that this one starts.

    Args:
        content: What it holds at first.

    Raises:
        OSError: There is no temporary folder, or no room in it.

    Example:
        >>> file = SharedFile(b"hello")
        >>> with file.locked():
        ...     file.write(b"J", 0)
        >>> file.read()
        b'Jello'
    """

    def __init__(self, content: bytes = b"") -> None:
        with (
            in_temporary_folder(),
            tempfile.TemporaryFile(buffering=0, prefix="aisdatapipes-") as file,
        ):
            self._use(os.dup(file.fileno()), uuid.uuid4().hex)
            self.write(content, 0)

    def _use(self, descriptor: int, identity: str) -> None:
        self._descriptor = descriptor
        self._identity = identity
        self._map: mmap.mmap | None = None
        self._threads = PerProcess(threading.Lock)
        self._claimed: PerProcess[set[int]] = PerProcess(set)
        # At the end of the process the system closes it, after the last thread that writes.
        weakref.finalize(self, os.close, descriptor).atexit = False
        _files[identity] = self

    @property
    def size(self) -> int:
        """Its bytes at this moment."""
        return os.fstat(self._descriptor).st_size

    def mapped(self, size: int) -> memoryview:
        """Return the first bytes, which are there, as memory that processes share.

        It is valid as long as this object.

        Args:
            size: How many, the same at every call.
        """
        with self._threads.get():
            if self._map is None:
                self._map = mmap.mmap(self._descriptor, size)
        return memoryview(self._map)

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

    def append(self, data: bytes) -> None:
        """Write at the end: all of it or, where there is no room, nothing."""
        with self.locked():
            end = self.size
            try:
                with in_temporary_folder():
                    self.write(data, end)
            except OSError:
                os.ftruncate(self._descriptor, end)
                raise

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other threads and processes out of blocks like this one."""
        with self._threads.get():
            try:
                self._lock()
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _LOCKED_BYTE)

    def _lock(self) -> None:
        while True:
            try:
                return fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, _LOCKED_BYTE)
            except OSError as error:
                # The system knows processes and not their threads: it takes two for deadlocked
                # that wait for each other by threads that do not.
                if error.errno != errno.EDEADLK:
                    raise
            time.sleep(_RETRY_S)

    def claim(self, count: int) -> int | None:
        """Return the lowest number that nobody has; it is the caller's until its process ends.

        Args:
            count: How many numbers there are, from 0 on.

        Returns:
            None if all are taken.
        """
        with self._threads.get():
            mine = self._claimed.get()
            others = (number for number in range(count) if number not in mine)
            found = next(filter(self._try_claim, others), None)
            if found is not None:
                mine.add(found)
            return found

    def _try_claim(self, number: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _FIRST_CLAIM + number)
        except (BlockingIOError, PermissionError):  # systems differ
            return False
        return True

    def __reduce__(self) -> tuple:
        started = get_spawning_popen()
        if started is None:
            return SharedFile, (self.read(),)
        handed_over = _handed_over.setdefault(started, {})
        if self._identity not in handed_over:
            handed_over[self._identity] = DupFd(self._descriptor)
        return _attached, (self._identity, handed_over[self._identity])


def is_child_being_started() -> bool:
    """Whether what is pickled now goes to a process that multiprocessing starts."""
    return get_spawning_popen() is not None


# Of one file there is one object in a process, also where a child's arguments are several pickles.
_files: weakref.WeakValueDictionary[str, SharedFile] = weakref.WeakValueDictionary()
# Once to each child: it may not get a descriptor twice.
_handed_over: weakref.WeakKeyDictionary[object, dict[str, object]] = weakref.WeakKeyDictionary()


def _attached(identity: str, handed_over: object) -> SharedFile:
    """Return the file that the parent of this process has, open here too."""
    file = _files.get(identity)
    if file is None:
        file = SharedFile.__new__(SharedFile)
        file._use(handed_over.detach(), identity)  # pyright: ignore[reportAttributeAccessIssue]
    return file
