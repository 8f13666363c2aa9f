"""Abandoned uploads: those whose file is gone, or whose process ends, are removed here.

The garbage collector finds a dropped file in whatever thread runs at that moment. That thread may
hold a lock that a request takes, or be the one that sends for this very file: waiting there would
never end, and stop the collector of the whole process. So it only puts the upload into a queue,
whose thread has no locks, and which takes none that is not free.
"""

from __future__ import annotations

import atexit
import logging
import threading
from queue import SimpleQueue

from aisdatapipes.processes.background import start_thread
from aisdatapipes.processes.per_process import PerProcess
from aisdatapipes.writing.upload import ObjectUpload

__all__ = ["UPLOADS", "OpenUploads"]

_logger = logging.getLogger(__name__)

_MOST_S = 1.0


class OpenUploads:
    """The uploads of this process that are neither committed nor aborted.

    What is left of them at the end of the process is aborted, as far as the cluster answers; a
    forked child has none.
    """

    def __init__(self) -> None:
        self._open: set[ObjectUpload] = set()
        self._abandoned: SimpleQueue[ObjectUpload | None] = SimpleQueue()
        self._are_done = threading.Event()
        start_thread(self._abort_abandoned)
        atexit.register(self._abort_all)

    def add(self, upload: ObjectUpload) -> None:
        """Know of an upload that begins."""
        self._open.add(upload)

    def remove(self, upload: ObjectUpload) -> None:
        """Forget one that is committed or aborted."""
        self._open.discard(upload)

    def abandon(self, upload: ObjectUpload) -> None:
        """Abort one soon, in the background; the garbage collector may call it anywhere."""
        self._abandoned.put(upload)

    def _abort_abandoned(self) -> None:
        while upload := self._abandoned.get():
            self._abort(upload)
        self._are_done.set()

    def _abort_all(self) -> None:
        """Abort what is left, at the end of the process, and wait for that, but not for long."""
        for upload in list(self._open):
            self._abandoned.put(upload)
        self._abandoned.put(None)
        if not self._are_done.wait(_MOST_S):
            for upload in list(self._open):
                _logger.warning("%s leaves an upload on the cluster, as the process ends", upload)

    def _abort(self, upload: ObjectUpload) -> None:
        try:
            upload.abort()
        except Exception:
            _logger.warning("an upload could not be aborted", exc_info=True)
        self.remove(upload)


UPLOADS = PerProcess(OpenUploads)
"""Those of this process."""
