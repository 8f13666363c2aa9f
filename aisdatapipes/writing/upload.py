"""Uploads: big objects in parts, and nothing to be seen before all of them are there.

Parts go one after the other, each once, from a thread of their own: the caller fills the next
part meanwhile, and a Ctrl-C never comes in the middle of a request, so that it is always known
which uploads the cluster has. After a failure nobody knows whether the part was stored, and it may
not be sent twice (see `aisdatapipes.writing.multipart`): the upload is aborted, and a new one gets
everything again, from a copy on this machine.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future

from aisdatapipes.errors import AISPipeError, ChecksumError, ClusterError, IncompleteWriteError
from aisdatapipes.processes.background import in_thread
from aisdatapipes.reading.checksums import KINDS
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.writing.content import StoppedError
from aisdatapipes.writing.multipart import MAX_PARTS, MultipartUpload
from aisdatapipes.writing.put import put_object
from aisdatapipes.writing.repeating import repeat
from aisdatapipes.writing.replay import Replay
from aisdatapipes.writing.stored import check_stored

__all__ = ["ObjectUpload"]

_logger = logging.getLogger(__name__)

_KIND = "xxhash2"


class ObjectUpload:
    """An object that is being written, in parts. One thread uses it, in one process.

    Args:
        request: The object.

    Example:
        >>> import os
        >>> from aisdatapipes import Settings
        >>> from aisdatapipes.writing.changes import delete_object
        >>> url = "ais://caltech256/upload.txt"
        >>> request = ObjectRequest.parse(url, os.environ["AIS_ENDPOINT"], Settings())
        >>> upload = ObjectUpload(request)
        >>> upload.send(b"hello ")
        >>> upload.send(b"world")
        >>> upload.commit()
        >>> request.ask_size()
        11
        >>> delete_object(request)
    """

    def __init__(self, request: ObjectRequest) -> None:
        self._request = request
        self._process = os.getpid()
        self._replay = Replay(request.label)
        self._digest = KINDS[_KIND]()
        self._last: bytes | memoryview = b""
        self._count = 0
        self._sent = 0
        self._upload: MultipartUpload | None = None
        self._left: list[MultipartUpload] = []
        self._work: Future | None = None
        self._stop = threading.Event()
        self._is_verified = False
        self._is_whole = False
        self._is_over = False

    def __str__(self) -> str:
        return self._request.label

    def send(self, part: bytes | memoryview) -> None:
        """Send the next part, when the one before has been sent.

        Args:
            part: Its bytes, one at least; they may not change before the next call returns.

        Raises:
            AISPipeError: The part before could not be sent; nothing was changed, and all that is
                left to do is `abort`.
        """
        self._check_usable()
        self._digest.update(part)  # while the part before is being sent
        self._replay.add(part)
        self.wait()
        self._last, self._count = part, self._count + 1
        self._start(self._repeat, self._send_missing)

    def commit(self) -> None:
        """Make all parts the object, and compare its checksum.

        Raises:
            ChecksumError: The cluster has another object than was sent, after every attempt.
            IncompleteWriteError: It was not written, or the cluster does not say whether.
            AISPipeError: The cluster refuses, or does not answer.
        """
        self._check_usable()
        self.wait()
        self._start(self._commit, self._complete)
        self.wait()

    def wait(self) -> None:
        """Wait until what was given has been sent.

        Raises:
            AISPipeError: It could not be sent.
        """
        if self._work is not None:
            self._work.result()
            self._work = None

    def abort(self) -> None:
        """Leave nothing on the cluster, unless it is committed; may be called at any time.

        What cannot be removed, as the cluster does not answer, is named in the log. In a forked
        child it does nothing.
        """
        if self._is_over or os.getpid() != self._process:
            return
        self._stop.set()
        if self._work is not None and not self._work.cancel():
            self._work.exception()  # it ends soon, and may have committed
        if not self._is_over:
            self._set_aside()
            self._end()

    def _start(self, action: Callable[[Callable], None], what: Callable[[], object]) -> None:
        # Known before it runs: a Ctrl-C may come at any moment.
        self._work = Future()
        in_thread(action, what, self._work)

    def _check_usable(self) -> None:
        label = self._request.label
        if os.getpid() != self._process:
            raise IncompleteWriteError(
                f"cannot write {label}: another process has begun to: open it in this one"
            )
        if self._is_over:
            raise IncompleteWriteError(f"cannot write {label}: it was committed or aborted")
        if self._count == MAX_PARTS:
            raise IncompleteWriteError(
                f"cannot write {label}: it has more than {MAX_PARTS} parts: write it with a "
                "larger block_size"
            )

    def _commit(self, action: Callable[[], object]) -> None:
        self._repeat(action)
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._remove_left()
        self._replay.close()

    def _repeat(self, action: Callable[[], object]) -> None:
        repeat(action, self._request, self._begin_again, self._stop.wait)

    def _send_missing(self) -> None:
        upload = self._upload = self._upload or self._begin()
        while upload and self._sent < self._count:
            part = self._part(self._sent)
            upload.put(self._sent + 1, part, self._stop, is_verified=self._is_verified)
            self._sent += 1

    def _begin(self) -> MultipartUpload | None:
        """Begin an upload; None where a cloud has none, or not where AIStore looks for it."""
        self._sent = 0
        try:
            return None if self._is_whole else MultipartUpload(self._request)
        except ClusterError as error:
            if self._request.url.provider == "ais" or not self._replay.is_kept:
                raise
            _logger.info("%s goes by one request at its end: %s", self._request.label, error)
            self._is_whole = True
            return None

    def _complete(self) -> None:
        self._send_missing()
        if self._stop.is_set():
            raise StoppedError
        if self._upload is not None:
            self._check(is_certain=self._upload.complete(self._count))
        else:
            put_object(self._request, self._replay.file(), self._replay.size)

    def _check(self, *, is_certain: bool) -> None:
        """Compare what the cluster has now, which may be of another writer already.

        The first time nobody can tell that from damage on the way. But what was verified when it
        arrived, and certainly completed, was whole: somebody has replaced it since.
        """
        try:
            check_stored(self._request, self._replay.size, self._digest_of)
        except ChecksumError as error:
            if not (self._is_verified and is_certain):
                raise
            _logger.info("%s was replaced as soon as it was there: %s", self._request.label, error)

    def _begin_again(self, error: AISPipeError) -> None:
        """Have a new upload get everything, after this failure."""
        if self._stop.is_set():
            raise StoppedError
        is_mismatch = isinstance(error, ChecksumError)
        if not self._has_all():
            if is_mismatch:  # and what is there now is to be seen
                raise error
            raise IncompleteWriteError(
                f"cannot write {self._request.label}: {error}: nothing was changed; there was no "
                "room for a copy to send again: free some in the temporary folder (TMPDIR)"
            ) from error
        self._is_verified = self._is_verified or is_mismatch
        _logger.info("%s is sent again: %s", self._request.label, error)
        self._set_aside()
        self._remove_left()

    def _part(self, index: int) -> bytes | memoryview:
        if index == self._count - 1:
            return self._last
        return self._replay.part(index)

    def _has_all(self) -> bool:
        return self._count < 2 or self._replay.is_kept

    def _digest_of(self, kind: str) -> str | None:
        """Return the checksum of all parts; of another kind than the usual, read them again."""
        if kind == _KIND:
            return self._digest.hexdigest()
        if not self._has_all():
            return None
        digest = KINDS[kind]()
        for index in range(self._count):
            digest.update(self._part(index))
        return digest.hexdigest()

    def _set_aside(self) -> None:
        if self._upload is not None:
            self._left.append(self._upload)
            self._upload = None

    def _remove_left(self) -> None:
        """Abort the uploads that did not become the object, as far as the cluster answers."""
        self._left = [upload for upload in self._left if not self._was_aborted(upload)]

    def _was_aborted(self, upload: MultipartUpload) -> bool:
        try:
            upload.abort()
        except AISPipeError as error:
            _logger.warning("%s leaves an upload on the cluster: %s", self._request.label, error)
            return False
        return True
